"""Numbers that are none, in JSON that comes from outside: who refuses them, and who reads them as "no value"."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from support import HUGE, NO_NUMBERS

from relay_sync.audio.messages import Media, parse_message
from relay_sync.jsontext import read_leniently, read_strictly
from relay_sync.rest.replies import _json
from relay_sync.webhooks.body import parse_json

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
