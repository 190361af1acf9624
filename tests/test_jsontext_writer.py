"""JSON as it is written to the wire."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_sync.jsontext import writer

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize("sort_keys", [False, True])
@given(value=VALUES)
def test_it_writes_what_the_standard_library_writes(value: Any, sort_keys: bool) -> None:
    assert writer(sort_keys=sort_keys)(value) == json.dumps(value, separators=(",", ":"), sort_keys=sort_keys)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [-float("inf")]}])
def test_what_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        writer()(value)


@pytest.mark.parametrize("value", [object(), {"a": {1, 2}}, {("a",): 1}])
def test_what_json_has_no_word_for_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        writer()(value)


def test_what_holds_itself_is_refused_each_time() -> None:
    write, ring = writer(), list[Any]()
    ring.append(ring)
    for _ in range(2):
        with pytest.raises(RecursionError):
            write(ring)
    assert write([[], []]) == "[[],[]]"


def test_without_the_encoder_written_in_c_it_writes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json.encoder, "c_make_encoder", None)
    assert writer()({"a": [1, 2.5, "ä", None, True]}) == '{"a":[1,2.5,"\\u00e4",null,true]}'
