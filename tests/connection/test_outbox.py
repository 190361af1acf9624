"""What waits in our own outbox is not yet asked: clocks begin when the last byte has left."""

from __future__ import annotations

import json
import queue
import socket
import threading
import time
from collections.abc import Callable

import pytest

from relay_sync import QueueFull, RelayClient, RelayError, RequestTimeout
from relay_sync.connection.outbox import Outbox
from relay_sync.deadline import Deadline
from relay_sync.protocol.command import Command
from relay_sync.protocol.effects import Hangup, Phase
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.faults.proxy import FaultProxy
from tests.support.faults.script import Peer, ScriptedServer, frame
from tests.support.scene import event
from tests.support.talk import Talk, only, phases, sent

MakeClient = Callable[..., RelayClient]


def command(patience: float = 10.0) -> Command:
    return Command(id="c", method="m", text="t", deadline=Deadline(None), settle=print, patience=patience, session=1)


# -- the outbox ----------------------------------------------------------------------------------------------------------


class Pipe:
    """Takes so many bytes, and then none until it is given room again."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.got = b""

    def write(self, data: bytes | bytearray) -> int:
        taken = data[: self.room]
        self.room -= len(taken)
        self.got += taken
        return len(taken)


def test_a_command_has_left_when_its_last_byte_was_written() -> None:
    outbox, pipe, one, two = Outbox(), Pipe(room=10), command(), command()
    frames = [b"ack", b"A" * 8]
    outbox.expect(one, frames)
    frames.append(b"B" * 4)
    outbox.expect(two, frames)
    frames.append(b"ack")
    outbox.take(frames)
    assert frames == []
    assert outbox.write(pipe.write, 5.0)
    assert (one.moved_at, two.moved_at, len(outbox)) == (5.0, 5.0, 8)
    assert not outbox.write(pipe.write, 6.0)
    assert (one.moved_at, two.moved_at) == (5.0, 5.0)
    pipe.room = 1
    assert outbox.write(pipe.write, 7.0)
    assert (one.moved_at, two.moved_at) == (7.0, 7.0)
    pipe.room = 100
    assert outbox.write(pipe.write, 8.0)
    assert (one.moved_at, two.moved_at, len(outbox)) == (7.0, 8.0, 0)
    assert pipe.got == b"ackAAAAAAAABBBBack"


def test_only_what_the_peer_has_caused_counts_against_reading_it() -> None:
    outbox, pipe = Outbox(), Pipe(room=0)
    frames = [b"ack", b"A" * 1000]
    outbox.expect(command(), frames)
    outbox.take(frames)
    outbox.write(pipe.write, 1.0)
    assert (len(outbox), outbox.caused) == (1003, 3)
    pipe.room = 2000
    outbox.write(pipe.write, 2.0)
    assert (len(outbox), outbox.caused) == (0, 0)


def test_the_time_for_an_answer_begins_with_the_last_byte() -> None:
    one = command(patience=3.0)
    one.moved_at = 50.0
    assert one.time_left(51.0) == 2.0
    assert one.time_left(60.0) < 0
    one.session = None
    assert one.time_left(51.0) == 0.0  # it was never sent


# -- the session ---------------------------------------------------------------------------------------------------------


def outbox(talk: Talk, *, empty: bool, moved: bool) -> None:
    talk.do(lambda: talk.session.outbox(talk.now, empty=empty, moved=moved))


def test_while_something_is_being_written_the_server_is_not_asked_and_not_given_up() -> None:
    talk = Talk(ping_interval=15.0, ping_timeout=5.0).ready()
    outbox(talk, empty=False, moved=False)
    for _ in range(20):
        assert sent(talk.tick(19.0)) == []
        outbox(talk, empty=False, moved=True)
    assert talk.session.phase is Phase.READY
    outbox(talk, empty=True, moved=True)
    assert sent(talk.tick(14.9)) == []
    (ping,) = sent(talk.tick(0.2))
    assert ping["method"] == "signalwire.ping"


def test_a_server_that_takes_nothing_more_is_given_up_though_it_talks() -> None:
    talk = Talk(ping_interval=15.0, ping_timeout=5.0).ready()
    outbox(talk, empty=False, moved=False)
    begun = talk.now
    effects = talk.chatter(60.0)
    assert phases(effects) == [Phase.BACKING_OFF]
    assert only(Hangup, effects) == [Hangup(at_once=True)]
    assert talk.now - begun == pytest.approx(20.0)
    assert talk.session.last_error is not None
    assert "stopped reading" in talk.session.last_error.message


def test_a_question_that_was_asked_before_waits_for_what_is_written_behind_it() -> None:
    talk = Talk(ping_interval=15.0, ping_timeout=5.0).ready()
    (ping,) = sent(talk.wake())
    outbox(talk, empty=False, moved=False)
    talk.tick(4.0)
    outbox(talk, empty=True, moved=True)
    talk.tick(4.0)
    assert talk.session.phase is Phase.READY
    talk.receive({"id": ping["id"], "result": {}})
    talk.tick(4.0)
    assert talk.session.phase is Phase.READY


def test_a_dead_connection_that_takes_small_commands_is_still_found() -> None:
    """The system takes them without the server: only what had to wait and then went shows that somebody reads."""
    talk = Talk(ping_interval=15.0, ping_timeout=5.0).ready()
    talk.wake()
    for number in range(4):
        talk.submit(f"play{number}")
        talk.tick(1.0)
    assert phases(talk.tick(1.0)) == [Phase.BACKING_OFF]


def test_promises_behind_a_long_command_have_their_time_from_the_last_byte() -> None:
    talk = Talk().ready()
    talk.submit("end", promised=True)
    outbox(talk, empty=False, moved=False)
    talk.do(talk.session.close, talk.now, 60.0)
    talk.now += 0.9
    outbox(talk, empty=False, moved=True)
    talk.tick(0.9)
    assert talk.session.parting
    assert only(Hangup, talk.tick(0.2)) == [Hangup()]


# -- a server that reads nothing -------------------------------------------------------------------------------------------


def test_a_server_that_reads_nothing_has_commands_refused_and_the_next_connection_is_free_of_it() -> None:
    """What was left to be written goes with its connection: the next one is asked for signs of life, and takes commands."""
    goes, pings = threading.Event(), threading.Event()

    def serve(peer: Peer) -> None:
        peer.welcome()
        if not goes.is_set():
            assert goes.wait(PATIENCE)
            return
        while True:
            if "method" in (request := peer.receive()):
                peer.answer(request, {"code": "200", "message": "OK"})
                if request["method"] == "signalwire.ping":
                    pings.set()

    ends: queue.SimpleQueue[RelayError] = queue.SimpleQueue()

    def command(client: RelayClient) -> None:
        try:
            client.execute("calling.answer", {"text": "x" * 2**20}, timeout=PATIENCE)
        except RelayError as error:
            ends.put(error)

    with ScriptedServer(serve) as server:
        server._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)  # what the system reads for it
        with RelayClient(**server.credentials, ping_interval=0.2, ping_timeout=PATIENCE) as client:
            running = [Background(command, client) for _ in range(8)]
            assert isinstance(ends.get(timeout=PATIENCE), QueueFull)
            goes.set()
            assert pings.wait(PATIENCE)
            assert client.execute("calling.answer")["code"] == "200"
            for each in running:
                each.result()


# -- a long message of the server's --------------------------------------------------------------------------------------


def test_the_server_s_answers_may_lie_behind_a_long_message_of_its_own() -> None:
    """Six questions, each of which finds that more of the message has come; three without that would end the connection."""
    told = threading.Event()

    def serve(peer: Peer) -> None:
        peer.welcome()
        peer.answer(peer.request("signalwire.ping"), {})
        long = frame(json.dumps(event("long", "calling.call.play", {"call_id": "c", "text": "x" * 10_000})))
        pings = []
        for place in range(0, 6000, 1000):
            pings.append(peer.request("signalwire.ping"))
            peer.write(long[place : place + 1000])
        peer.write(long[6000:])
        for ping in pings:
            peer.answer(ping, {})
        told.set()
        peer.until_closed()

    with ScriptedServer(serve) as server:
        client = RelayClient(**server.credentials, ping_interval=0.01, ping_timeout=0.5)
        try:
            client.connect(PATIENCE)
            assert told.wait(PATIENCE)
            assert client.state == "connected"
        finally:
            client.disconnect(0.1)


# -- a slow line ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_command_that_takes_longer_to_send_than_its_answer_may_take_is_answered(
    sim: Simulator, client: MakeClient
) -> None:
    with FaultProxy(sim.port) as line:
        line.shape("up", rate=4e6)
        one = client(host=line.url, ping_interval=0.7, ping_timeout=0.3, request_timeout=1.0)
        one.connect(PATIENCE)
        begun = time.monotonic()
        big = Background(one.execute, "signalwire.ping", {"text": "x" * 8_000_000})
        assert big.result() is not None
        assert time.monotonic() - begun > 1.5
        assert one.state == "connected"
        assert len(sim.journal.requests("signalwire.connect")) == 1
        sim.drop_reply("signalwire.ping", times=None)
        begun = time.monotonic()
        with pytest.raises(RequestTimeout, match=r"within 0.1 s"), one.timeout(0.1):
            one.execute("signalwire.ping")
        assert time.monotonic() - begun < PATIENCE / 2
        one.disconnect()


def test_what_does_not_go_at_once_is_kept_and_comes_first() -> None:
    outbox, pipe, one, two = Outbox(), Pipe(room=3), command(), command()
    frames = [b"AAAA"]
    outbox.expect(one, frames)
    assert outbox.flush(frames, pipe.write, 5.0)
    assert (frames, len(outbox), outbox.behind, one.moved_at) == ([], 1, True, 5.0)
    frames += [b"BB", b"ack"]
    outbox.expect(two, frames[:1])
    assert not outbox.flush(frames, pipe.write, 6.0)
    assert (frames, len(outbox), one.moved_at) == ([], 6, 5.0)
    pipe.room = 100
    assert outbox.flush(frames, pipe.write, 7.0)
    assert (len(outbox), outbox.behind, one.moved_at, two.moved_at, pipe.got) == (0, False, 7.0, 7.0, b"AAAABBack")
    frames += [b"ack", b"CC"]
    outbox.expect(one, frames)
    assert outbox.flush(frames, pipe.write, 8.0)
    assert (frames, len(outbox), outbox.behind, one.moved_at, pipe.got) == ([], 0, False, 8.0, b"AAAABBackackCC")
