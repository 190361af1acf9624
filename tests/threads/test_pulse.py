"""How long IO threads have not answered: those of clients and of audio servers, and of no other process."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from relay_sync.audio import AudioServer
from relay_sync.server import Loop
from relay_sync.threads.pulse import LONGEST_LOOK, answering, silences
from tests.conftest import MakeClient
from tests.support import PATIENCE
from tests.support.background import until
from tests.support.clocks import HOUR, leapt
from tests.support.forks import holds_in_child

NAME = "relay-imagined-1"


def test_io_threads_of_clients_and_audio_servers_answer(client: MakeClient) -> None:
    before = set(silences())
    connected = client()
    connected.connect()
    with AudioServer() as audio:
        assert audio.port
        names = set(silences()) - before
        assert sorted(name.rpartition("-")[0] for name in names) == ["relay-audio", "relay-io"]
        until(lambda: not any(silences().values()))
    connected.disconnect()
    assert not names & set(silences())


@pytest.fixture
def blocked() -> Iterator[threading.Event]:
    """A loop whose thread waits until the event is set."""
    goes_on = threading.Event()
    loop = Loop(NAME)
    loop.start()
    loop.call_soon(goes_on.wait, PATIENCE)
    yield goes_on
    goes_on.set()
    loop.stop()


def test_a_blocked_thread_is_silent_until_it_goes_on(blocked: threading.Event) -> None:
    assert silences()[NAME] == 0.0
    until(lambda: silences()[NAME] > 0.05)
    blocked.set()
    until(lambda: silences()[NAME] == 0.0)


def test_time_in_which_the_machine_was_suspended_is_no_silence(blocked: threading.Event) -> None:
    silences()
    with leapt(HOUR):
        assert 0.0 < silences()[NAME] <= LONGEST_LOOK


def test_threads_of_the_parent_are_none_of_a_forked_child(blocked: threading.Event) -> None:
    assert NAME in silences()
    holds_in_child(lambda: NAME not in silences())


def test_a_wake_up_is_queued_once() -> None:
    posted: list[object] = []
    with answering(NAME, posted.append):
        for _ in range(10):
            silences()
        assert len(posted) == 1
    assert NAME not in silences()
