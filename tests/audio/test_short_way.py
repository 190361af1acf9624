"""Usual frames take a short way through the receiver. It must come to the same as the long one, whatever comes between them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import websocket
from hypothesis import given, settings
from hypothesis import strategies as st

from relay_sync.audio import AudioFrame, AudioServer, StreamStats, receiver
from relay_sync.audio.messages import MediaFormat, media_message, parse_message, start_message, stop_message
from tests.support import PATIENCE

CODECS = {"audio/x-mulaw": 1, "audio/x-alaw": 1, "audio/x-L16": 2, "audio/G722": 1}
TRACKS = (("inbound",), ("outbound",), ("inbound", "outbound"))
SIDES = TRACKS[-1]
#: Disturbances, each of which replaces, repeats or precedes a usual message.
ODD = (
    "again",
    "late",
    "gap",
    "long gap",
    "spelled otherwise",
    "numbers",
    "another carrier's",
    "unpadded",
    "not base64",
    "odd size",
    "twice as long",
    "empty",
    "key",
    "mark",
    "jitter",
    "counters anew",
    "no timestamp",
    "track unknown",
    "track of a longer name",
    "quoted track",
    "noise",
    "another tail",
    "no sequence",
    "behind the end",
)


class Result(NamedTuple):
    frames: list[AudioFrame]
    stats: StreamStats
    file: bytes
    keys: list[str]


@st.composite
def _streams(draw: st.DrawFn) -> tuple[str, tuple[str, ...], list[str], list[int]]:
    """A codec, tracks, messages, and where the bytes on the wire are cut."""
    codec, announced = draw(st.sampled_from(sorted(CODECS))), draw(st.sampled_from((*TRACKS, ())))
    tracks = announced or SIDES
    source = _Source(CODECS[codec] * draw(st.sampled_from([160, 160, 160, 80])))
    texts: list[str] = []
    for _ in range(draw(st.integers(0, 40))):
        track = tracks[len(texts) % len(tracks)] if draw(st.integers(0, 9)) else draw(st.sampled_from(tracks))
        odd = draw(st.sampled_from(ODD)) if draw(st.integers(0, 7)) == 0 else ""
        texts += source.messages(track, odd)
    return codec, announced, texts, draw(st.lists(st.integers(1, 20_000), max_size=6))


class _Source:
    """A carrier that counts as SignalWire does, until it is told to be odd."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.sequence = 1
        self.chunks = {"inbound": 0, "outbound": 0}
        self.last: dict[str, str] = {}

    def messages(self, track: str, odd: str) -> list[str]:
        self.sequence += 1
        if odd in ("key", "mark"):
            event, body = ("dtmf", {"digit": "5"}) if odd == "key" else ("mark", {"name": "m"})
            return [json.dumps({"event": event, "sequenceNumber": str(self.sequence), event: body})]
        self.chunks[track] += {"gap": 3, "long gap": 700}.get(odd, 1)
        if odd == "counters anew":
            self.sequence, self.chunks[track] = 2, 1
        chunk = self.chunks[track]
        size = {"odd size": self.size - 1, "twice as long": 2 * self.size, "empty": 0}.get(odd, self.size)
        payload = bytes((37 * chunk + 3 * n) % 256 for n in range(size))
        at = 20 * (chunk - 1) + (7 if odd == "jitter" else 0)
        text = media_message(track=track, sequence=self.sequence, chunk=chunk, timestamp=at, payload=payload)
        before, self.last[track] = self.last.get(track, text), text
        return {"again": [text, text], "late": [text, before], "behind the end": [text + " "]}.get(odd) or [
            _spelled(text, odd)
        ]


def _spelled(text: str, odd: str) -> str:
    """The same message in another form, or broken."""
    fields = json.loads(text)
    media = fields["media"]
    if odd == "spelled otherwise":
        return json.dumps(fields)
    if odd == "numbers":
        media.update({name: int(media[name]) for name in ("chunk", "timestamp")})
    elif odd == "another carrier's":
        fields["streamSid"] = "S"
    elif odd == "unpadded":
        media["payload"] = media["payload"].rstrip("=")
    elif odd == "not base64":
        media["payload"] = media["payload"][:8] + "?" + media["payload"][9:]
    elif odd == "no timestamp":
        del media["timestamp"]
    elif odd == "no sequence":
        del fields["sequenceNumber"]
    elif odd == "track unknown":
        media["track"] = "sideways"
    elif odd == "track of a longer name":
        media["track"] += "_track"
    elif odd == "quoted track":
        return text.replace('"track":"', '"track":"x\\"')
    elif odd == "noise":
        return text[:-1]
    elif odd == "another tail":
        return text[:-1] + "]"
    return json.dumps(fields, separators=(",", ":"))


def _play(audio: AudioServer, stream: tuple[str, tuple[str, ...], list[str], list[int]], path: Path) -> Result:
    codec, tracks, texts, cuts = stream
    start = start_message(
        stream_id="S",
        account_id="P",
        call_id="C",
        tracks=tracks,
        media_format=MediaFormat(codec, 16000 if "722" in codec else 8000),
    )
    messages = [start, *texts, stop_message(sequence=9999)]
    wire = b"".join(websocket.ABNF.create_frame(text, websocket.ABNF.OPCODE_TEXT).format() for text in messages)
    peer = websocket.create_connection(audio.url, timeout=PATIENCE)
    assert peer.sock is not None
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(wire)], strict=True):
        peer.sock.sendall(wire[begin:end])
    received = audio.accept(PATIENCE)
    frames = list(received)
    assert received.wait(PATIENCE)
    received.save(path)
    keys = [key.digit for key in received.dtmf]
    peer.shutdown()  # type: ignore[no-untyped-call]
    return Result(frames, received.stats, path.read_bytes(), keys)


@pytest.fixture(scope="module", params=["one way", "two way, resampled, on disk"])
def audio(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    more: dict[str, Any] = {}
    if request.param != "one way":
        folder = tmp_path_factory.mktemp("recorded")
        more = {"two_way": True, "sample_rate": 11025, "record_to": folder / "{call_id}.wav"}
    with AudioServer(**more) as made:
        yield made


@settings(max_examples=60)
@given(stream=_streams())
def test_it_comes_to_the_same(
    audio: AudioServer,
    tmp_path_factory: pytest.TempPathFactory,
    stream: tuple[str, tuple[str, ...], list[str], list[int]],
) -> None:
    path = tmp_path_factory.getbasetemp() / "saved.wav"
    short = _play(audio, stream, path)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(receiver, "SHORT_WAY", False)
        long = _play(audio, stream, path)
    assert short == long


def _both_ways(texts: list[str], codec: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Result, Result]:
    with AudioServer() as audio:
        short = _play(audio, (codec, ("inbound",), texts, []), path)
        monkeypatch.setattr(receiver, "SHORT_WAY", False)
        return short, _play(audio, (codec, ("inbound",), texts, []), path)


def test_a_frame_that_cannot_be_decoded_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a frame is remembered, with its sequence number, though it is not placed."""
    source = _Source(320)
    texts = [text for _ in range(399) for text in source.messages("inbound", "")]
    texts.append(media_message(track="inbound", sequence=10**6, chunk=400, timestamp=20 * 399, payload=b"x"))
    texts += [text for _ in range(10) for text in source.messages("inbound", "")]
    texts.append(texts[5].replace('"sequenceNumber":"7"', '"sequenceNumber":"5000"'))
    short, long = _both_ways(texts, "audio/x-L16", tmp_path / "saved.wav", monkeypatch)
    assert short == long
    assert (long.stats.bad_frames, long.stats.duplicates) == (1, 1)


@pytest.mark.parametrize("number", ["sequence", "chunk", "timestamp"])
def test_numbers_that_are_too_large_do_not_take_it(
    number: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = {"sequence": 2, "chunk": 1, "timestamp": 0}
    numbers[number] = 2**53 - 64
    texts = []
    for _ in range(80):
        texts.append(media_message(track="inbound", payload=bytes(range(160)), **numbers))
        numbers = {name: value + (20 if name == "timestamp" else 1) for name, value in numbers.items()}
    short, long = _both_ways(texts, "audio/x-mulaw", tmp_path / "saved.wav", monkeypatch)
    assert short == long


@pytest.mark.parametrize("tracks", TRACKS)
@pytest.mark.parametrize("codec", ["audio/x-mulaw", "audio/x-alaw", "audio/x-L16"])
def test_nearly_all_frames_take_it(
    codec: str, tracks: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frame on the long way is parsed as JSON; those on the short way are not."""
    parsed: list[str | bytes] = []

    def counted(text: str | bytes, **more: Any) -> Any:
        parsed.append(text)
        return parse_message(text, **more)

    monkeypatch.setattr("relay_sync.audio.receiver.parse_message", counted)
    source = _Source(CODECS[codec] * 160)
    texts = [text for number in range(300) for text in source.messages(tracks[number % len(tracks)], "")]
    texts[100:100] = source.messages(tracks[0], "key")
    with AudioServer() as audio:
        result = _play(audio, (codec, tracks, texts, []), tmp_path / "saved.wav")
    assert result.stats.frames == len(result.frames) == 300
    assert len(parsed) <= 3 + 2 * len(tracks) + 2  # start, key, stop; each track's first; those around the key


def test_it_takes_nothing_that_is_no_base64(tmp_path: Path) -> None:
    source = _Source(160)
    texts = [text for _ in range(5) for text in source.messages("inbound", "")]
    head, _, _ = texts[4].partition('"payload":"')
    texts[4] = head + '"payload":"' + base64.b64encode(bytes(157)).decode() + '","x":"'  # ends as a payload does
    texts[4] += 'AAA"}}'
    with AudioServer() as audio:
        result = _play(audio, ("audio/x-mulaw", ("inbound",), texts, []), tmp_path / "saved.wav")
    assert [frame.sequence for frame in result.frames] == [2, 3, 4, 5, 6]
    assert result.frames[4].samples == 157


def test_a_track_whose_name_has_a_quote_is_not_found_where_it_is_not(tmp_path: Path) -> None:
    source = _Source(160)
    texts = [text.replace("inbound", 'in\\"bound') for _ in range(5) for text in source.messages("inbound", "")]
    texts[4] = texts[4].replace('\\"', '"')  # no JSON
    with AudioServer() as audio:
        result = _play(audio, ("audio/x-mulaw", (), texts, []), tmp_path / "saved.wav")
    assert (len(result.frames), result.stats.bad_frames) == (4, 1)
    assert {frame.track for frame in result.frames} == {'in"bound'}
