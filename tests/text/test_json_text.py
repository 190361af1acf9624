"""JSON. Numbers that are none, from outside: who refuses them, and who reads them as "no value". And what is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay_sync.audio.messages import Media, parse_message
from relay_sync.rest.replies import _json
from relay_sync.text.json_text import read_leniently, read_strictly, writer
from relay_sync.webhooks.body import parse_json
from tests.support.numbers import HUGE, NO_NUMBERS

TEXTS = ['{"a": [1, -2.5, 1e3, true, null, "NaN"]}', "7", str(10**300), '"1e999"', "1e-999"]


@pytest.mark.parametrize("read", [read_strictly, read_leniently])
@pytest.mark.parametrize("text", TEXTS)
def test_json_is_read_as_ever(read: Callable[[str], Any], text: str) -> None:
    assert read(text) == json.loads(text)
    for wrong in ("", "{", "nan", "[1,]", "+1"):
        with pytest.raises(ValueError):
            read(wrong)


@pytest.mark.parametrize("number", [*NO_NUMBERS, HUGE, "-1" + "0" * 4000])
def test_the_strict_reader_refuses_what_nobody_can_reckon_with(number: str) -> None:
    for text in (number, f"[{number}]", f'{{"a": {{"b": [0, {number}]}}}}'):
        with pytest.raises(ValueError):
            read_strictly(text)


@pytest.mark.parametrize("number", NO_NUMBERS)
def test_for_the_client_they_are_no_value(number: str) -> None:
    text = f'{{"a": [{number}]}}'
    assert read_leniently(text) == parse_json(text.encode()) == _json(text.encode()) == {"a": [None]}


@pytest.mark.parametrize("number", NO_NUMBERS)
def test_in_media_messages_the_member_is_as_if_left_out(number: str) -> None:
    told = parse_message(f'{{"event":"media","media":{{"payload":"AAA=","timestamp":{number},"chunk":{number}}}}}')
    bare = parse_message('{"event":"media","media":{"payload":"AAA="}}')
    assert isinstance(told, Media)
    assert told == bare


# -- what is written to the wire -----------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(derandomize=True)
@given(value=VALUES)
def test_it_writes_what_the_standard_library_writes(value: Any) -> None:
    for sort_keys in (False, True):
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
