"""The words of states are literals: ``mypy`` checks this file, and the types hold the words of the constants."""

from __future__ import annotations

from typing import assert_type, get_args

from relay_sync import Call, RelayClient, constants
from relay_sync.client.states import _PUBLIC


def test_the_types_list_the_words_of_the_constants() -> None:
    assert get_args(constants.CallState) == constants.CALL_STATES
    assert set(get_args(constants.CallEndReason)) == constants.END_REASONS
    assert set(get_args(constants.MessageState)) >= constants.MESSAGE_END_STATES
    words = {value for name, value in vars(constants).items() if name.startswith("MESSAGE_STATE_")}
    assert set(get_args(constants.MessageState)) == words
    assert set(get_args(constants.ConnectionState)) == {*_PUBLIC.values(), "connecting", "reconnecting"}


def compared(client: RelayClient, call: Call) -> None:
    """States change while a program waits: a comparison does not tell type checkers what the next one gives."""
    assert client.state == "idle"
    assert client.state == "connected"
    assert call.state == "ringing"
    assert call.state == "ended"
    assert_type(call.direction.upper(), str)  # pyright: ignore[reportAssertTypeFailure]  # LiteralString | str


def connection_changed() -> None:
    """The parameter of ``on_state`` is a closed set; handlers may also accept any text."""
    seen: list[constants.ConnectionState] = []
    RelayClient(on_state=seen.append)
    words: list[str] = []
    RelayClient(on_state=words.append)
