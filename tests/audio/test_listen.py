"""``listen(call)``: the command and the socket it leads to, joined by a one-time token."""

from __future__ import annotations

import logging
import math
import struct
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import websocket
from attrs import define, field

from relay_sync import (
    Call,
    CallEnded,
    CommandRefused,
    ConnectionLost,
    InvalidParameter,
    RelayClient,
    RelayError,
    StreamFailed,
    UnsupportedCodec,
)
from relay_sync.audio import AudioServer, AudioStream, codec_for, read_wav, write_wav
from relay_sync.audio.messages import MediaFormat, media_message, start_message, stop_message
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.clocks import stopped
from tests.support.lines import line

PCMU = codec_for("PCMU")
PAYLOAD = bytes(range(160))


@define(eq=False)
class Switch:
    """A telephone switch reduced to its streams: each opens the socket it is told to, from a thread, and behaves as it is
    made to. Records what it was asked for."""

    behaviour: Callable[[websocket.WebSocket, Switch], None]
    asked: list[dict[str, Any]] = field(factory=list)
    stopped: threading.Event = field(factory=threading.Event)
    over: threading.Event = field(factory=threading.Event)
    error: BaseException | None = None
    control_id: str = "s-1"
    refusal: str = ""
    _threads: list[threading.Thread] = field(factory=list)

    def stream(self, **options: Any) -> Switch:
        self.asked.append(options)
        thread = threading.Thread(target=self._run, args=(options,))
        self._threads.append(thread)
        thread.start()
        return self

    def _run(self, options: dict[str, Any]) -> None:
        header = {"Authorization": f"Bearer {options['authorization_bearer_token']}"}
        try:
            peer = websocket.create_connection(options["url"], timeout=PATIENCE, header=header)
        except (OSError, websocket.WebSocketException) as error:
            self.refusal = str(error)
            return
        try:
            self.behaviour(peer, self)
        finally:
            peer.shutdown()  # type: ignore[no-untyped-call]
            self.over.set()

    @property
    def is_done(self) -> bool:
        return self.over.is_set()

    def wait(self, timeout: float | None = None) -> None:
        assert self.over.wait(timeout)

    def stop(self) -> dict[str, Any]:
        self.stopped.set()
        return {}

    def join(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()


def _start(peer: websocket.WebSocket) -> None:
    text = start_message(
        stream_id="s",
        account_id="a",
        call_id="c",
        tracks=["inbound"],
        media_format=MediaFormat("audio/x-mulaw"),
    )
    peer.send(text)


def _talk_until_stopped(peer: websocket.WebSocket, switch: Switch) -> None:
    _start(peer)
    peer.send(media_message(track="inbound", sequence=2, chunk=1, timestamp=0, payload=PAYLOAD))
    assert switch.stopped.wait(PATIENCE)
    peer.send(media_message(track="inbound", sequence=3, chunk=2, timestamp=20, payload=PAYLOAD[::-1]))
    peer.send(stop_message(sequence=4))
    assert peer.recv_data()[0] == 8


def _say_nothing(peer: websocket.WebSocket, switch: Switch) -> None:
    switch.stopped.wait(PATIENCE)


def _leave_at_once(peer: websocket.WebSocket, switch: Switch) -> None:
    pass


def test_a_stream_and_its_action(audio: AudioServer, tmp_path: Path) -> None:
    switch = Switch(_talk_until_stopped)
    with audio.listen(switch, track="both", codec="L16", custom_parameters={"a": "b"}, name="n") as stream:
        taken: object = stream.action
        assert taken is switch
        frame = stream.read_frame(PATIENCE)
        assert frame is not None
        assert frame.pcm == PCMU.decode(PAYLOAD)
    # Leaving stopped the action and waited for the carrier's last words.
    assert switch.stopped.is_set()
    assert stream.end_reason == "stopped"
    assert stream.read(1) == PCMU.decode(PAYLOAD[::-1])
    stream.save(tmp_path / "x.wav")
    assert read_wav(tmp_path / "x.wav").pcm == PCMU.decode(PAYLOAD + PAYLOAD[::-1])
    switch.join()
    (asked,) = switch.asked
    token = asked.pop("authorization_bearer_token")
    assert len(token) >= 32
    assert asked == {"url": audio.url, "track": "both", "codec": "L16", "custom_parameters": {"a": "b"}, "name": "n"}


def test_the_public_url_is_what_the_carrier_gets() -> None:
    with AudioServer(public_url="wss://audio.example.com/in") as audio:
        switch = Switch(_leave_at_once)

        def rewrite(**options: Any) -> Switch:  # what the proxy in front would do
            return Switch.stream(switch, **{**options, "url": f"ws://127.0.0.1:{audio.port}/in"})

        class Proxied:
            urls: list[str] = []  # noqa: RUF012

            def stream(self, **options: Any) -> Switch:
                self.urls.append(options["url"])
                return rewrite(**options)

        with pytest.raises(StreamFailed):
            audio.listen(Proxied(), timeout=PATIENCE)
        switch.join()
        assert Proxied.urls == ["wss://audio.example.com/in"]


def test_a_token_is_good_for_one_socket_only(audio: AudioServer) -> None:
    switch = Switch(_talk_until_stopped)
    with audio.listen(switch):
        header = {"Authorization": f"Bearer {switch.asked[0]['authorization_bearer_token']}"}
        with pytest.raises(websocket.WebSocketBadStatusException) as caught:
            websocket.create_connection(audio.url, timeout=PATIENCE, header=header)
        assert caught.value.status_code == 401
    switch.join()


def test_many_at_once_are_not_mixed_up(audio: AudioServer) -> None:
    def say_who(peer: websocket.WebSocket, switch: Switch) -> None:
        number = switch.asked[0]["custom_parameters"]["number"]
        _start(peer)
        peer.send(media_message(track="inbound", sequence=2, chunk=1, timestamp=0, payload=bytes([number]) * 160))
        peer.send(stop_message(sequence=3))
        peer.recv_data()

    got: dict[int, bytes] = {}
    switches = [Switch(say_who) for _ in range(16)]

    def listen(number: int) -> None:
        with audio.listen(switches[number], custom_parameters={"number": number}) as stream:
            got[number] = stream.read(1)

    threads = [threading.Thread(target=listen, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert got == {number: PCMU.decode(bytes([number]) * 160) for number in range(16)}
    for switch in switches:
        switch.join()


def test_streams_of_listen_are_not_offered_to_others() -> None:
    offered: list[AudioStream] = []
    with AudioServer(on_stream=offered.append) as audio:
        switch = Switch(_talk_until_stopped)
        with audio.listen(switch):
            pass
        switch.join()
    assert offered == []


# -- failures name the step --------------------------------------------------------------------------------------------


class _Refuses:
    def stream(self, **options: Any) -> Any:
        raise CommandRefused(402, "no credit", method="calling.stream")


class _ReachesNobody:
    """Takes the command and never dials."""

    def __init__(self, *, done: bool = False, error: BaseException | None = None) -> None:
        self.is_done = done
        self.error = error
        self.stops = 0
        self.asked: dict[str, Any] = {}

    def stream(self, **options: Any) -> _ReachesNobody:
        self.asked = options
        return self

    def stop(self) -> None:
        self.stops += 1
        raise RelayError(None, "cannot even be stopped")


def test_refused(audio: AudioServer) -> None:
    with pytest.raises(CommandRefused, match="no credit"):
        audio.listen(_Refuses())
    assert audio._gate._expected == {}


def test_no_socket_came_and_the_token_is_spent(audio: AudioServer, caplog: pytest.LogCaptureFixture) -> None:
    call = _ReachesNobody()
    with (
        caplog.at_level(logging.DEBUG),
        pytest.raises(StreamFailed, match=r"the platform did not connect within 0\.05 s") as caught,
    ):
        audio.listen(call, timeout=0.05)
    token = call.asked["authorization_bearer_token"]
    assert call.stops == 1
    assert audio.url in str(caught.value)
    assert caught.value.end_reason == ""
    assert token not in str(caught.value)
    assert token not in caplog.text
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        websocket.create_connection(audio.url, timeout=PATIENCE, header={"Authorization": f"Bearer {token}"})
    assert refused.value.status_code == 401


def test_the_action_ended_before_any_socket(audio: AudioServer) -> None:
    cause = RelayError(None, "the session is lost")
    call = _ReachesNobody(done=True, error=cause)
    with pytest.raises(StreamFailed, match="before the platform connected") as caught:
        audio.listen(call)
    assert caught.value.__cause__ is cause
    assert call.stops == 0


def test_a_call_that_is_over_is_said_to_be(audio: AudioServer) -> None:
    with Simulator(media="fast") as sim, line(sim) as found:
        found.phone.hang_up()
        found.call.wait_for_ended(PATIENCE)
        for use in (audio.listen, audio.connect):
            with pytest.raises(StreamFailed, match=r"^the call ended \(hangup\) before the platform") as failed:
                use(found.call)
            assert isinstance(failed.value.__cause__, CallEnded)
            assert failed.value.__cause__.end_reason == "hangup"


def test_a_stream_that_is_refused_with_404_on_a_live_call_says_what_the_server_said(audio: AudioServer) -> None:
    with Simulator(media="fast") as sim, line(sim) as found:
        sim.refuse("calling.stream", 404, "no such codec profile")
        with pytest.raises(CommandRefused, match="no such codec profile; the call itself is live"):
            audio.listen(found.call)
        assert found.call.state == "answered"


def test_codecs_whose_extra_is_missing(audio: AudioServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with Simulator(media="fast") as sim, line(sim) as found:
        for codec in ("G722", "OPUS@48000h"):
            for use in (lambda codec: audio.connect(found.call, codec=codec), lambda codec: audio.device(codec=codec)):
                with pytest.raises(UnsupportedCodec, match=r'pip install "av>='):
                    use(codec)
        with pytest.raises(UnsupportedCodec, match="AMR is not supported"):
            audio.connect(found.call, codec="AMR")
        assert not sim.journal.requests("calling.connect")
        # What is only heard would be handed over as it comes; the simulator needs the extra, too.
        with pytest.raises(StreamFailed, match=r'does not support this codec \(G722 needs .+"av>='):
            audio.listen(found.call, codec="G722")


@pytest.mark.parametrize(("behaviour", "timeout"), [(_say_nothing, 0.3), (_leave_at_once, PATIENCE)])
def test_a_socket_but_no_start(audio: AudioServer, behaviour: Any, timeout: float) -> None:
    switch = Switch(behaviour)
    began = time.monotonic()
    with pytest.raises(StreamFailed, match=r"without sending start|sent no start") as failed:
        audio.listen(switch, timeout=timeout)
    assert time.monotonic() - began < PATIENCE / 2  # a socket that has gone is not waited for
    assert failed.value.end_reason == "never started"
    switch.stop()
    switch.join()


class _Late:
    """A call whose commands are carried out only after a while, as where the session is just being repaired."""

    def __init__(self, switch: Switch, seconds: float = 0.0) -> None:
        self._switch = switch
        self._seconds = seconds

    def stream(self, **options: Any) -> Switch:
        threading.Event().wait(self._seconds)
        return self._switch.stream(**options)

    def connect(self, table: list[list[Any]]) -> dict[str, Any]:
        params = table[0][0]["params"]
        self.stream(**{name: params[name] for name in ("url", "authorization_bearer_token")})
        return {"code": "200"}

    def disconnect(self) -> None:
        self._switch.stop()

    def on(self, event_type: str, handler: Any) -> None:
        pass


@pytest.mark.parametrize("use", [AudioServer.listen, AudioServer.connect])
def test_the_time_for_the_stream_begins_when_the_command_was_sent(audio: AudioServer, use: Any) -> None:
    switch = Switch(_talk_until_stopped)
    stream = use(audio, _Late(switch, 0.25), timeout=0.2)
    switch.stop()
    assert stream.wait(PATIENCE)
    switch.join()
    assert switch.refusal == ""


@pytest.mark.parametrize("use", [AudioServer.listen, AudioServer.connect])
def test_a_stream_that_comes_too_late_is_closed(audio: AudioServer, use: Any) -> None:
    late, ends = threading.Event(), list[int]()

    def start_late(peer: websocket.WebSocket, switch: Switch) -> None:
        assert late.wait(PATIENCE)
        _start(peer)
        ends.append(peer.recv_data()[0])

    switch = Switch(start_late)
    with pytest.raises(StreamFailed, match="sent no start within"):
        use(audio, _Late(switch), timeout=0.05)
    late.set()
    switch.join()
    assert ends == [8]  # closed, with the words of WebSocket
    assert not audio._waiting


def test_a_stream_of_a_command_that_failed_is_closed(audio: AudioServer) -> None:
    """The carrier has opened its socket, but the answer to the command was lost."""
    began, ends = threading.Event(), list[int]()

    def start(peer: websocket.WebSocket, switch: Switch) -> None:
        _start(peer)
        began.set()
        ends.append(peer.recv_data()[0])

    class Lost:
        def stream(self, **options: Any) -> Any:
            switch.stream(**options)
            assert began.wait(PATIENCE)
            raise ConnectionLost("the session was lost")

    switch = Switch(start)
    with pytest.raises(ConnectionLost):
        audio.listen(Lost())
    switch.join()
    assert ends == [8]


class _Silent:
    """A call, and the action of its stream, whose socket never comes."""

    is_done, error = False, None
    stopped = False

    def stream(self, **options: Any) -> _Silent:
        return self

    def stop(self) -> None:
        self.stopped = True


def test_where_the_clock_stands_still_the_wait_for_a_stream_ends(audio: AudioServer) -> None:
    call = _Silent()
    with stopped():
        with pytest.raises(StreamFailed, match=r"the platform did not connect within 0\.03 s"):
            Background(lambda: audio.listen(call, timeout=0.03)).result(PATIENCE / 2)
    assert call.stopped


def test_the_server_is_closed_meanwhile() -> None:
    audio = AudioServer().start()
    asked = threading.Event()

    class Slow(_ReachesNobody):
        def stream(self, **options: Any) -> _ReachesNobody:
            asked.set()
            return self

    failures: list[BaseException] = []

    def listen() -> None:
        try:
            audio.listen(Slow())
        except StreamFailed as error:
            failures.append(error)

    listener = threading.Thread(target=listen)
    listener.start()
    assert asked.wait(PATIENCE)
    audio.close()
    listener.join(PATIENCE)
    assert "closed" in str(failures[0])


def test_parameters_that_listen_sets_itself(audio: AudioServer) -> None:
    for name in ("url", "authorization_bearer_token"):
        with pytest.raises(InvalidParameter, match=name):
            audio.listen(_ReachesNobody(), **{name: "x"})  # type: ignore[arg-type]


def test_an_address_that_only_this_network_knows() -> None:
    with AudioServer() as audio:
        audio._address.host = "192.0.2.1"
        with pytest.raises(InvalidParameter) as caught:
            audio.listen(_ReachesNobody())
        assert caught.value.parameter == "public_url"


# -- with the real client and the simulator ----------------------------------------------------------------------------


def test_a_call_is_heard(
    audio: AudioServer, sim: Simulator, client: Callable[..., RelayClient], tmp_path: Path
) -> None:
    said = b"".join(struct.pack("<h", round(9000 * math.sin(n / 7))) for n in range(8000))
    write_wav(tmp_path / "said.wav", said, 8000)
    heard: list[AudioStream] = []
    done = threading.Event()
    relay = client()

    @relay.on_call
    def handle(call: Call) -> None:
        call.answer()
        with audio.listen(call, track="both", custom_parameters={"who": "me"}) as stream:
            stream.read(1.0, PATIENCE)
        heard.append(stream)
        call.hangup()
        done.set()

    relay.connect(PATIENCE)
    sim.call(to="+15550100", from_="+15550199", says=tmp_path / "said.wav")
    assert done.wait(PATIENCE)
    (stream,) = heard
    assert stream.end_reason == "stopped"
    assert stream.action is not None
    assert stream.action.is_done
    assert stream.custom_parameters == {"who": "me"}
    stream.save(tmp_path / "call.wav")
    saved = read_wav(tmp_path / "call.wav")
    assert saved.channels == 2
    assert saved.channel(0)[: len(said)] == PCMU.decode(PCMU.encode(said))
    assert stream.stats.gaps == stream.stats.duplicates == stream.stats.bad_frames == 0
