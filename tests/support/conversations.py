"""Conversations of tests, each with a party of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from relay_sync.audio import AudioServer
from relay_sync.audio.speech import Conversation
from tests.support.detectors import Loud
from tests.support.party import Party

#: Starts a conversation with a party of its own: the party, and the conversation.
Talk = Callable[..., tuple[Party, Conversation]]


@contextmanager
def talks(**usual: Any) -> Iterator[Talk]:
    """Start conversations with these parameters, unless others are given; whatever becomes of them, they end with the block."""
    with AudioServer(two_way=True) as audio, ExitStack() as stack:

        def make(**options: Any) -> tuple[Party, Conversation]:
            party = stack.enter_context(Party(audio))
            given = {"vad": Loud(), **usual, **options}
            return party, stack.enter_context(Conversation(party.stream, **given))

        yield make


def conversation_threads() -> list[str]:
    """Return the names of the threads that conversations have."""
    names = ("relay-speech-", "relay-conversation-")
    return [each.name for each in threading.enumerate() if each.name.startswith(names)]
