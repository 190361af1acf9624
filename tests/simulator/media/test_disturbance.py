"""Audio that goes wrong on demand: what the simulator sends, and what our receiver makes of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from relay_sync import InvalidParameter, StreamFailed
from relay_sync.audio import AudioServer, AudioStream
from relay_sync.simulator import Simulator
from relay_sync.simulator.media.disturbance import ERRORS
from relay_sync.webhooks import StreamStatus, Webhooks
from tests.support import PATIENCE
from tests.support.lines import Line, line
from tests.support.peers import Hooks, Receiver, address, connected

SAYS = bytes(range(256)) * 2 * 25  # forty frames of PCM


@pytest.fixture
def call(sim: Simulator) -> Iterator[Line]:
    with line(sim, says=SAYS) as one:
        yield one


def _listen(call: Line, **options: Any) -> AudioStream:
    """The stream, when everything was said and it has ended."""
    with AudioServer(**options) as audio, audio.listen(call.call, timeout=PATIENCE) as stream:
        call.phone.streams[0].wait_for_speech(PATIENCE)
    assert stream.wait(PATIENCE)
    return stream


def _numbers(stream: AudioStream) -> list[int]:
    """Which frames were read, counted from 0."""
    return [round(frame.timestamp * 50) for frame in stream]


def test_a_gap(call: Line) -> None:
    call.sim.disturb_stream("gap", at=5, count=3)
    stream = _listen(call)
    assert _numbers(stream) == [*range(5), *range(8, 40)]
    assert (stream.stats.gaps, stream.stats.missing, stream.end_reason) == (1, 0.06, "stopped")
    assert _numbers_of_the_next(call.sim) == 40  # it befell one stream only


def _numbers_of_the_next(sim: Simulator) -> int:
    with line(sim, says=SAYS) as other:
        return len(_numbers(_listen(other)))


def test_duplicates(call: Line) -> None:
    call.sim.disturb_stream("duplicate", at=0, count=7)
    stream = _listen(call)
    assert _numbers(stream) == [*range(40)]
    assert stream.stats.duplicates == 7


@pytest.mark.parametrize(
    ("window", "order"), [(0.0, [0, 1, 3, 4, 2, *range(5, 40)]), (5.0, list(range(40)))], ids=["live", "put in order"]
)
def test_frames_out_of_order(call: Line, window: float, order: list[int]) -> None:
    call.sim.disturb_stream("reorder", at=2, count=2)
    stream = _listen(call, reorder_seconds=window)
    assert _numbers(stream) == order
    assert (stream.stats.gaps, stream.stats.missing, stream.stats.late) == (0, 0.0, 0 if window else 1)
    assert stream.stats.seconds == 0.8


def test_a_frame_that_is_held_at_the_end_is_sent_all_the_same(call: Line) -> None:
    call.sim.disturb_stream("reorder", at=39, count=5)
    assert _numbers(_listen(call)) == [*range(40)]


def test_garbage(call: Line, caplog: pytest.LogCaptureFixture) -> None:
    call.sim.disturb_stream("garbage", at=0, count=12)
    stream = _listen(call)
    assert _numbers(stream) == [*range(40)]
    assert stream.stats.bad_frames == 12
    assert stream.end_reason == "stopped"
    assert 4 <= len([record for record in caplog.records if record.levelno >= logging.WARNING]) <= 6


@pytest.mark.parametrize("kind", ["drop", "reset"])
def test_the_socket_ends_without_a_word(kind: str) -> None:
    with Simulator(speed=5) as sim, line(sim, says=SAYS) as call, AudioServer() as audio:
        sim.disturb_stream(kind, at=35)
        with audio.listen(call.call, timeout=PATIENCE) as stream:
            assert stream.wait(PATIENCE)
        assert stream.end_reason == "dropped"
        numbers = _numbers(stream)
        assert numbers == [*range(len(numbers))]
        assert len(numbers) == 35 or kind == "reset"  # which may overtake what was sent just before it
        assert (call.phone.streams[0].state, call.phone.state) == ("finished", "answered")


def test_the_wrong_codec_is_pointed_out(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    with line(sim, says=bytes(320 * 60)) as call:  # silence is coded very differently by the two laws
        sim.disturb_stream("wrong codec")
        stream = _listen(call)
    assert stream.media_format.encoding == "audio/x-mulaw"
    assert [record for record in caplog.records if "looks like PCMA" in record.getMessage()]


def test_several_at_once_and_on_several_streams(sim: Simulator) -> None:
    sim.disturb_stream("gap", at=1, times=2)
    sim.disturb_stream("duplicate", at=3, times=None)
    for _ in range(3):
        with line(sim, says=SAYS) as call:
            stream = _listen(call)
        gaps = stream.stats.gaps
        assert stream.stats.duplicates == 1
    assert gaps == 0
    sim.clear_faults()
    assert _numbers_of_the_next(sim) == 40


def test_a_stream_that_is_refused_tells_why(call: Line) -> None:
    call.sim.disturb_stream("refuse", error="general_error")
    with (
        AudioServer() as audio,
        pytest.raises(StreamFailed, match="before the platform connected: it could not open"),
    ):
        audio.listen(call.call, timeout=PATIENCE)
    (stream,) = call.phone.streams
    assert (stream.state, stream.error) == ("finished", "general_error")


@pytest.mark.parametrize(
    ("options", "error"),
    [({"kind": "hum"}, "kind"), ({"error": "busy"}, "error"), ({"at": -1}, "at, count"), ({"count": 0}, "at, count")],
)
def test_what_cannot_be_asked_for(sim: Simulator, options: dict[str, Any], error: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        sim.disturb_stream(**{"kind": "gap", **options})
    assert caught.value.parameter == error


# -- the status callbacks that know errors -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_stream_told_in_the_fields_of_cxml(method: str) -> None:
    sim = Simulator(media="fast", status_dialect="cxml", signing_key="PSKinvented")
    with sim, connected(sim) as peer, Receiver() as receiver, Hooks() as hooks:
        phone = peer.answered()
        peer.result(
            "calling.stream",
            control_id="s",
            url=receiver.url,
            track="both_tracks",
            name="n",
            status_url=hooks.url,
            status_url_method=method,
            **address(phone),
        )
        raw = [hooks.raw.get(timeout=PATIENCE)]
        phone.hang_up()
        raw.append(hooks.raw.get(timeout=PATIENCE))
        _, _, fields = hooks.next()
        start = receiver.finished().messages[1]["start"]
        assert fields.pop("Timestamp")[10] == "T"
        assert fields == {
            "AccountSid": sim.settings.project,
            "CallSid": phone.call_id,
            "StreamSid": start["streamSid"],
            "StreamName": "n",
            "StreamTrack": "both_tracks",
            "StreamEvent": "stream-started",
            "Unique-ID": phone.call_id,
        }
        reader = Webhooks(signing_key="PSKinvented", public_url=hooks.url.removesuffix("/status"), strict=True)
        read = [reader.parse(verb, path, headers, body) for verb, path, headers, body in raw]
    assert [(each.state, each.error) for each in read if isinstance(each, StreamStatus)] == [
        ("streaming", ""),
        ("finished", ""),
    ]


@pytest.mark.parametrize("error", ERRORS)
def test_every_documented_error(error: str) -> None:
    with Simulator(media="fast", status_dialect="cxml") as sim, connected(sim) as peer, Hooks() as hooks:
        sim.disturb_stream("refuse", error=error)
        phone = peer.answered()
        peer.result("calling.stream", control_id="s", url="ws://127.0.0.1:9/", status_url=hooks.url, **address(phone))
        _, _, fields = hooks.next()
    assert (fields["StreamEvent"], fields["StreamError"], fields["StreamSid"]) == ("stream-error", error, "s")


def test_errors_that_come_of_themselves() -> None:
    with Simulator(media="fast", status_dialect="cxml", dial_timeout=0.3) as sim, connected(sim) as peer:
        with Hooks() as hooks, AudioServer(token="tell-nobody") as audio:
            phone = peer.answered()
            urls = {
                "refused": (audio.url, "PCMU", "connection_refused"),  # 401
                "codec": (audio.url, "AMR", "codec_error"),
                "tls": (audio.url.replace("ws:", "wss:"), "PCMU", "connection_refused_timeout_or_ssl_error"),
                "nobody": ("ws://127.0.0.1:9/", "PCMU", "connection_refused"),
            }
            for name, (url, codec, error) in urls.items():
                peer.result(
                    "calling.stream", control_id=name, url=url, codec=codec, status_url=hooks.url, **address(phone)
                )
                assert hooks.next()[2]["StreamError"] == error, name


def test_a_call_outlives_its_refused_stream(call: Line) -> None:
    call.sim.disturb_stream("refuse")
    action = call.call.stream("ws://127.0.0.1:9/audio")
    assert action.wait(PATIENCE).state == "finished"
    assert call.phone.state == "answered"
