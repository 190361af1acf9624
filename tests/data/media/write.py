"""Writes the cases beside it. Run it after a change: ``python tests/data/media/write.py``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SID, ACC, CALL = (
    "9b1c0d52-7a1e-4c55-8a3b-6f0f3d2b9e10",
    "4d0c0ffe-1111-4222-8333-444455556666",
    "0a1b2c3d-0000-4000-8000-00000000beef",
)
IN, OUT = "inbound", "outbound"
Message = Any
cases: dict[str, list[dict[str, Any]]] = {}


def case(
    name: str,
    why: str,
    send: list[Message],
    frames: list[list[Any]] | None,
    end: str | None = "stopped",
    *,
    file: str = "signalwire",
    options: dict[str, Any] | None = None,
    warn: list[str] | None = None,
    saved: tuple[int, int] | None = None,
    stats: dict[str, Any] | None = None,
    offers: str | None = None,
    **knows: Any,
) -> None:
    expect: dict[str, Any] = {"frames": frames or [], "end": end}
    if stats:
        expect["stats"] = stats
    if warn:
        expect["warnings"] = warn
    if saved:
        expect["saved"] = saved
    expect.update(knows)
    item: dict[str, Any] = {"name": name, "why": why, "send": send, "expect": expect}
    if options:
        item["options"] = options
    if offers:
        item["offers"] = offers
    cases.setdefault(file, []).append(item)


# -- SignalWire, as documented -----------------------------------------------------------------------------------------

HELLO = {"event": "connected", "protocol": "Call", "version": "0.2.0"}
STOP = {"event": "stop", "sequenceNumber": "999"}


def start(*tracks: str, encoding: Any = "audio/x-mulaw", rate: Any = 8000, channels: Any = 1, **more: Any) -> Message:
    body = {
        "streamSid": SID,
        "accountSid": ACC,
        "callSid": CALL,
        "tracks": list(tracks) or [IN],
        "mediaFormat": {"encoding": encoding, "sampleRate": rate, "channels": channels},
    }
    return {"event": "start", "sequenceNumber": "1", "start": {**body, **more}}


def media(audio: Any, chunk: int, track: Any = IN, *, ms: Any = None, sequence: Any = None, ptime: int = 20) -> Message:
    return {
        "event": "media",
        "sequenceNumber": str(chunk + 1) if sequence is None else sequence,
        "media": {
            "track": track,
            "chunk": str(chunk),
            "timestamp": str((chunk - 1) * ptime) if ms is None else ms,
            "payload": audio,
        },
    }


def without(message: Message, *names: str) -> Message:
    """Members left out, at the top or in ``media``."""
    body = {name: value for name, value in message["media"].items() if name not in names}
    return {name: value for name, value in {**message, "media": body}.items() if name not in names}


def changed(message: Message, **members: Any) -> Message:
    """Members of ``media`` replaced or added."""
    return {**message, "media": {**message["media"], **members}}


M1, M2, M3 = (media(f"@{n}", n) for n in (1, 2, 3))
F1, F2, F3 = ([IN, f"@{n}", (n - 1) * 0.02] for n in (1, 2, 3))
THREE = [F1, F2, F3]
OPEN = [HELLO, start()]


def spoilt(name: str, why: str, bad: Message, warn: str | None, *, bad_frames: int = 1, file: str = "broken") -> None:
    """A message that means nothing between good ones: they are heard as if it had not come."""
    case(
        name,
        why,
        [*OPEN, M1, bad, M2, M3, STOP],
        THREE,
        file=file,
        warn=[warn] if warn else None,
        stats={"bad_frames": bad_frames} if bad_frames else None,
        saved=(1, 480),
    )


def fine(name: str, why: str, middle: Message, frame: list[Any] = F2, *, file: str = "tolerance", **more: Any) -> None:
    """The second of three frames in an unusual form: it is heard."""
    case(name, why, [*OPEN, M1, middle, M3, STOP], [F1, frame, F3], file=file, saved=(1, 480), **more)


case(
    "as documented",
    "the frames of the stream pages, word for word",
    [
        HELLO,
        {
            "event": "start",
            "sequenceNumber": "1",
            "start": {
                "streamSid": SID,
                "accountSid": ACC,
                "callSid": CALL,
                "tracks": [IN, OUT],
                "customParameters": {"tier": "gold"},
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            },
        },
        {
            "event": "media",
            "sequenceNumber": "42",
            "media": {"track": IN, "chunk": "41", "timestamp": "800", "payload": "@1"},
        },
        {"event": "dtmf", "sequenceNumber": "123", "streamSid": SID, "dtmf": {"digit": "5", "duration": 2000}},
        {"event": "mark", "streamSid": SID, "mark": {"name": "greeting"}},
        STOP,
    ],
    [[IN, "@1", 0.8]],
    stats={"seconds": 0.02},
    saved=(2, 160),
    stream_id=SID,
    call_id=CALL,
    account_id=ACC,
    tracks=[IN, OUT],
    custom_parameters={"tier": "gold"},
    media_format=["audio/x-mulaw", 8000, 1],
    dtmf=[["5", 2000]],
    marks=["greeting"],
)
case("inbound", "the caller alone: mono", [*OPEN, M1, M2, M3, STOP], THREE, saved=(1, 480), tracks=[IN])
case(
    "outbound",
    "what the caller hears, alone",
    [HELLO, start(OUT), media("@1", 1, OUT), STOP],
    [[OUT, "@1", 0.0]],
    saved=(1, 160),
    tracks=[OUT],
)
case(
    "both tracks",
    "inbound first, a chunk count for each track, one sequence for both",
    [
        HELLO,
        start(IN, OUT),
        media("@1", 1, sequence="2"),
        media("@5", 1, OUT, sequence="3"),
        media("@2", 2, sequence="4"),
        media("@6", 2, OUT, sequence="5"),
        STOP,
    ],
    [[IN, "@1", 0.0], [OUT, "@5", 0.0], [IN, "@2", 0.02], [OUT, "@6", 0.02]],
    saved=(2, 320),
)
for encoding, rate, size in (
    ("audio/x-alaw", 8000, 160),
    ("audio/x-L16", 8000, 320),
    ("audio/x-L16", 16000, 640),
    ("audio/x-L16", 24000, 960),
):
    sounds = [f"@{n}x{size}" if "law" in encoding else f"@S{n}x{size}" for n in (1, 2)]
    case(
        f"{encoding} at {rate} Hz",
        "frame sizes as in the table of codecs",
        [HELLO, start(encoding=encoding, rate=rate), media(sounds[0], 1), media(sounds[1], 2), STOP],
        [[IN, sounds[0], 0.0], [IN, sounds[1], 0.02]],
        saved=(1, rate // 25),
        media_format=[encoding, rate, 1],
    )
case(
    "frames of 40 ms",
    "PCMU@40i: the length follows from the bytes",
    [*OPEN, media("@1x320", 1, ptime=40), media("@2x320", 2, ptime=40), STOP],
    [[IN, "@1x320", 0.0], [IN, "@2x320", 0.04]],
    saved=(1, 640),
)
case(
    "frames of 10 and 30 ms in turn",
    "duration is derived from bytes, never assumed",
    [*OPEN, media("@1x80", 1, ms="0"), media("@2x240", 2, ms="10"), media("@3x80", 3, ms="40"), STOP],
    [[IN, "@1x80", 0.0], [IN, "@2x240", 0.01], [IN, "@3x80", 0.04]],
    saved=(1, 400),
)
case(
    "the first time is not zero",
    "presentation time may begin anywhere",
    [*OPEN, media("@1", 1, ms="740"), media("@2", 2, ms="760"), STOP],
    [[IN, "@1", 0.74], [IN, "@2", 0.76]],
    saved=(1, 320),
    stats={"seconds": 0.04},
)
for name, members in (
    ("absent", {}),
    ("empty", {"customParameters": {}}),
    ("null", {"customParameters": None}),
):
    case(
        f"parameters {name}",
        "a stream without parameters",
        [HELLO, start(**members), M1, STOP],
        [F1],
        custom_parameters={},
    )
case(
    "parameters of any JSON",
    "those of RELAY and REST keep their types",
    [HELLO, start(customParameters={"n": 1, "l": [1, {"x": None}], "o": {"event": "stop"}, "ü": "ß"}), M1, STOP],
    [F1],
    custom_parameters={"n": 1, "l": [1, {"x": None}], "o": {"event": "stop"}, "ü": "ß"},
)
for digit in "0*#D":
    case(
        f"key {digit}",
        "on a one-way stream without streamSid",
        [*OPEN, M1, {"event": "dtmf", "sequenceNumber": "3", "dtmf": {"digit": digit, "duration": 250}}, STOP],
        [F1],
        dtmf=[[digit, 250]],
    )
case(
    "marks come back in order",
    "after clear all at once, without sequence numbers",
    [*OPEN, M1, *({"event": "mark", "streamSid": SID, "mark": {"name": name}} for name in ("a", "b", "c")), STOP],
    [F1],
    marks=["a", "b", "c"],
)
case("nothing was said", "start and stop, no audio", [*OPEN, STOP], [], saved=(1, 0))
for code in (1000, 1001, 1011):
    case(
        f"closed with {code} instead of stop",
        "stop does not always arrive: a closed socket is a normal end",
        [*OPEN, M1, {"$close": code}],
        [F1],
        "closed",
        saved=(1, 160),
    )
case("cut", "the socket ends without a word", [*OPEN, M1, M2, {"$cut": True}], [F1, F2], "dropped", saved=(1, 320))
case(
    "stop and then closed",
    "the reason is the first that came",
    [*OPEN, M1, STOP, {"$close": 1000}],
    [F1],
    saved=(1, 160),
)

# -- what is read the same ---------------------------------------------------------------------------------------------

fine("counters as integers", "Plivo's way", changed({**M2, "sequenceNumber": 3}, chunk=2, timestamp=20))
fine(
    "counters as floats",
    "some JSON writers know no integers",
    changed({**M2, "sequenceNumber": 3.0}, chunk=2.0, timestamp=20.0),
)
fine("counters as texts of floats", "", changed({**M2, "sequenceNumber": "3.0"}, chunk="2.0", timestamp="20.0"))
fine("counters with blanks", "", changed({**M2, "sequenceNumber": " 3"}, chunk="2 ", timestamp=" 20 "))
fine("counters with leading zeros", "", changed({**M2, "sequenceNumber": "003"}, chunk="0002", timestamp="0020"))
fine("a time in fractions of a ms", "kept as it is", changed(M2, timestamp="20.5"), [IN, "@2", 0.0205])
fine("no sequence", "", without(M2, "sequenceNumber"))
fine("no chunk", "the time tells enough", without(M2, "chunk"))
fine("no timestamp", "its place is behind the one before", without(M2, "timestamp"))
fine("no counters at all", "", without(M2, "chunk", "timestamp", "sequenceNumber"))
fine("counters null", "", changed({**M2, "sequenceNumber": None}, chunk=None, timestamp=None))
fine(
    "counters that are none",
    "audio is not lost for that",
    changed({**M2, "sequenceNumber": []}, chunk={}, timestamp="soon"),
)
fine("negative counters", "", changed({**M2, "sequenceNumber": "-3"}, chunk=-2, timestamp="-20"))
fine("counters beyond all numbers", "", changed({**M2, "sequenceNumber": 10**30}, chunk="9" * 40, timestamp=1e300))
fine(
    "counters true and false",
    "no numbers in JSON",
    changed({**M2, "sequenceNumber": True}, chunk=True, timestamp=False),
)
fine("snake case", "sequence_number", {**without(M2, "sequenceNumber"), "sequence_number": "3"})
fine("no track", "there is only one", without(M2, "track"))
fine("track null", "", changed(M2, track=None))
fine("track a number", "", changed(M2, track=1))
fine("track in capitals", "", changed(M2, track="INBOUND"))
fine("track with a suffix", "the name that call.stream takes", changed(M2, track="inbound_track"))
fine("unpadded base64", "", changed(M2, payload="@2~"))
fine(
    "more members",
    "unknown ones are ignored",
    {**changed(M2, x=[1, {"y": None}], codec="OPUS"), "streamSid": SID, "z": {"event": "stop"}},
)
for name, text in (
    ("a byte order mark", "\ufeff%s"),
    ("blanks around", " \r\n\t%s \n"),
):
    fine(name, "", {"$text": text, "message": M2})
fine("in fragments, with a ping between", "RFC 6455, 5.4", {"$fragments": M2, "at": [10, 100]})
fine("in a binary frame", "some libraries send whatever they are given as bytes", {"$as_binary": M2})
fine("slashes escaped", "as PHP writes them", {"$escaped": M2, "what": "/"})
fine("letters escaped", "", {"$escaped": M2, "what": "e"})
fine(
    "a member twice",
    "the last one counts, as everywhere",
    {
        "$text": '{"event":"stop","event":"media","media":{"chunk":"2","timestamp":"20","track":"inbound","payload":"%s"}}',
        "audio": "@2",
    },
)
for name, written, sound in (
    ("base64 of the URL-safe alphabet", "-_-_", "fbffbf"),
    ("base64 of the URL-safe alphabet, unpadded", "-_-_-w", "fbffbffb"),
    ("wrapped base64", "+/+/\r\n+/+/\r\n", "fbffbffbffbf"),
    ("base64 with blanks", " +/ +/ ", "fbffbf"),
    ("base64 with tabs and line breaks between all", "\t+\n/\n+\n/\n", "fbffbf"),
    ("one byte", "AA==", "00"),
    ("one byte, unpadded", "AA", "00"),
):
    case(
        name,
        "payloads as carriers' encoders write them",
        [*OPEN, M1, media(written, 2), STOP],
        [F1, [IN, "hex:" + sound, 0.02]],
        file="tolerance",
    )
case("no connected", "Plivo begins with start", [start(), M1, M2, STOP], [F1, F2], file="tolerance")
case(
    "another version",
    "never refuse one",
    [{"event": "connected", "protocol": "Call", "version": "9.9.9"}, start(), M1, STOP],
    [F1],
    file="tolerance",
)
case("connected twice", "", [HELLO, HELLO, start(), HELLO, M1, STOP], [F1], file="tolerance")
case("connected without members", "", [{"event": "connected"}, start(), M1, STOP], [F1], file="tolerance")
case(
    "ids at the top",
    "clients in the wild look in both places",
    [{"event": "start", "streamSid": "s", "callSid": "c", "accountSid": "a", "start": {}}, M1, STOP],
    [F1],
    file="tolerance",
    stream_id="s",
    call_id="c",
    account_id="a",
)
case(
    "ids null inside and given at the top",
    "",
    [{"event": "start", "streamSid": "s", "start": {"streamSid": None, "callSid": "c"}}, M1, STOP],
    [F1],
    file="tolerance",
    stream_id="s",
    call_id="c",
)
case(
    "ids as numbers",
    "",
    [{"event": "start", "start": {"streamSid": 1, "callSid": 2, "accountSid": 3}}, M1, STOP],
    [F1],
    file="tolerance",
    stream_id="1",
    call_id="2",
    account_id="3",
)
case(
    "an empty start",
    "the codec is the default one",
    [{"event": "start", "start": {}}, M1, M2, M3, STOP],
    THREE,
    file="tolerance",
    saved=(1, 480),
)
case(
    "all members of start null",
    "",
    [
        start(tracks=None, mediaFormat=None, customParameters=None, streamSid=None, callSid=None, accountSid=None),
        M1,
        STOP,
    ],
    [F1],
    file="tolerance",
    stream_id="",
    saved=(1, 160),
)
case("mediaFormat of the wrong type", "", [start(mediaFormat=["audio/x-mulaw"]), M1, STOP], [F1], file="tolerance")
for value in ("8000", 8000.0, None, 0, "fast", -8000):
    case(
        f"sampleRate {value!r}",
        "where it is no number the codec's own rate counts",
        [start(rate=value), M1, M2, STOP],
        [F1, F2],
        file="tolerance",
        saved=(1, 320),
    )
case("channels as a text", "", [start(channels="1"), M1, STOP], [F1], file="tolerance")
for encoding in ("AUDIO/X-MULAW", "audio/x-mulaw;rate=8000", "PCMU", "audio/PCMU", "ulaw", "g711_ulaw"):
    case(
        f"encoding {encoding}",
        "spellings in use",
        [start(encoding=encoding), M1, STOP],
        [F1],
        file="tolerance",
        saved=(1, 160),
    )
case(
    "the rate in the encoding",
    "as RFC 2586 writes it",
    [start(encoding="audio/L16;rate=16000", rate=None), media("@S1x640", 1), STOP],
    [[IN, "@S1x640", 0.0]],
    file="tolerance",
    saved=(1, 320),
)
for name, tracks, knows in (
    ("null", None, []),
    ("empty", [], []),
    ("a text", "inbound", [IN]),
    ("with suffixes", ["outbound_track", "inbound_track"], [IN, OUT]),
    ("in capitals, one unknown", ["Inbound", "conference", 7], [IN]),
):
    case(f"tracks {name}", "", [start(tracks=tracks), M1, STOP], [F1], file="tolerance", tracks=knows)
case(
    "one of two announced tracks is silent",
    "both were announced, so the file has both",
    [start(IN, OUT), M1, M2, STOP],
    [F1, F2],
    file="tolerance",
    saved=(2, 320),
)
case(
    "a track that was not announced",
    "heard, and saved beside the other",
    [*OPEN, M1, media("@5", 1, OUT), M2, STOP],
    [F1, [OUT, "@5", 0.0], F2],
    file="tolerance",
    saved=(2, 320),
)
case(
    "only the track that was not announced",
    "",
    [*OPEN, media("@5", 1, OUT), STOP],
    [[OUT, "@5", 0.0]],
    file="tolerance",
    saved=(2, 160),
)
for odd in ("E", "12", "w", "\uff11", "+", "-1", "0x1", "T"):
    case(
        f"key {odd}",
        "no telephone has it",
        [*OPEN, M1, {"event": "dtmf", "dtmf": {"digit": odd}}, {"event": "dtmf", "dtmf": {"digit": "7"}}, STOP],
        [F1],
        file="wrong",
        warn=["dtmf with an invalid digit"],
        stats={"bad_frames": 1},
        dtmf=[["7", None]],
    )
case(
    "key d",
    "in small letters",
    [*OPEN, M1, {"event": "dtmf", "dtmf": {"digit": "d"}}, STOP],
    [F1],
    file="tolerance",
    dtmf=[["D", None]],
)
OTHER = "00000000-0000-4000-8000-000000000000"
for member in ("streamSid", "stream_sid", "streamId", "stream_id"):
    case(
        f"messages of another stream, by {member}",
        "they cannot belong here",
        [
            *OPEN,
            M1,
            {**media("@5", 2), member: OTHER},
            {"event": "dtmf", member: OTHER, "dtmf": {"digit": "5"}},
            {"event": "mark", member: OTHER, "mark": {"name": "m"}},
            {"event": "stop", member: OTHER},
            {**M2, member: SID},
            {"event": "dtmf", member: SID, "dtmf": {"digit": "6"}},
            {"event": "mark", member: SID, "mark": {"name": "n"}},
            {"event": "stop", member: SID},
        ],
        [F1, F2],
        file="wrong",
        warn=["a message for another stream"],
        stats={"bad_frames": 4},
        dtmf=[["6", None]],
        marks=["n"],
    )
case(
    "messages that name no stream, in several ways",
    "what is missing is that of the socket",
    [*OPEN, {**M1, "streamSid": None}, {**M2, "streamSid": ""}, {"event": "stop", "stream_id": {}}],
    [F1, F2],
    file="tolerance",
)
case(
    "an unknown track",
    "it cannot belong to a call whose tracks were announced: left out and counted",
    [*OPEN, M1, media("@5", 1, "conference"), M2, STOP],
    [F1, F2],
    file="tolerance",
    saved=(1, 320),
    warn=["audio of an unknown track"],
    stats={"bad_frames": 1},
)
case(
    "more tracks than a telephone has",
    "where none were announced, eight others are read, no more: memory is bounded, and the call's own are not pushed out",
    [start(tracks=None), *(media("@5", 1, f"t{n}") for n in range(12)), M1, media("@6", 1, OUT), STOP],
    [*([f"t{n}", "@5", 0.0] for n in range(8)), F1, [OUT, "@6", 0.0]],
    file="tolerance",
    warn=["was not announced", "more than 8 tracks"],
    stats={"bad_frames": 4},
)
for name, event in (
    ("an unknown event", {"event": "novelty", "payload": "@5", "media": {"payload": "@5"}}),
    (
        "an error of the carrier",
        {"event": "error", "payload": {"code": 100002, "title": "unknown_error", "detail": "x"}},
    ),
    ("a heartbeat", {"event": "heartbeat", "timestamp": 1}),
    ("an event in capitals", {"event": "MEDIA", "media": {"payload": "@5"}}),
    ("an event without a name", {"event": "", "media": {}}),
    ("a large unknown event", {"event": "novelty", "x": ["y" * 100] * 3}),
):
    spoilt(name, "passes through", event, None, bad_frames=0, file="tolerance")
for name, dtmf, key in (
    ("key as a number", {"digit": 5, "duration": "100"}, ["5", 100]),
    ("key without a duration", {"digit": "9"}, ["9", None]),
    ("key with a track", {"digit": "1", "track": "inbound_track", "duration": None}, ["1", None]),
):
    case(name, "", [*OPEN, M1, {"event": "dtmf", "dtmf": dtmf}, STOP], [F1], file="tolerance", dtmf=[key])
case(
    "mark named by a number",
    "",
    [*OPEN, {"event": "mark", "mark": {"name": 7}}, STOP],
    [],
    file="tolerance",
    marks=["7"],
)
case(
    "a stop with a body",
    "Twilio's",
    [*OPEN, M1, {"event": "stop", "stop": {"accountSid": "AC", "callSid": "CA"}}],
    [F1],
    file="tolerance",
)
case(
    "a stop with null", "", [*OPEN, M1, {"event": "stop", "stop": None, "sequenceNumber": None}], [F1], file="tolerance"
)
case(
    "half a surrogate pair in an id",
    "what is shown can be printed",
    [{"$text": '{"event":"start","start":{"callSid":"a\\ud800b"}}'}, M1, STOP],
    [F1],
    file="tolerance",
    call_id="a\ufffdb",
)

# -- messages that mean nothing ----------------------------------------------------------------------------------------

garbage: tuple[tuple[str, Any, str], ...] = (
    ("an empty text", "", "not JSON"),
    ("half a message", '{"event":"media","media":{"payload":"//', "not JSON"),
    ("text", "hello", "not JSON"),
    ("single quotes", "{'event': 'media'}", "not JSON"),
    ("a comma too many", '{"event":"media",}', "not JSON"),
    ("a line break within a text", '{"event":"me\ndia"}', "not JSON"),
    ("two messages in one", '{"event":"x"}{"event":"y"}', "not JSON"),
    ("lists in lists without end", ["[", 50_000], "not JSON"),
    ("objects in objects without end", ['{"a":', 50_000], "not JSON"),
    ("a number of 5000 digits", ["1", 5000], "not JSON"),
    ("a list", "[]", "not a JSON object"),
    ("a list of messages", '[{"event":"media"}]', "not a JSON object"),
    ("null", "null", "not a JSON object"),
    ("a number", "123", "not a JSON object"),
    ("not a number", "NaN", "not a JSON object"),
    ("a JSON text", '"media"', "not a JSON object"),
    ("an empty object", "{}", "no event member"),
    ("no event", '{"media":{"payload":"AAAA"}}', "no event member"),
    ("event null", '{"event":null}', "no event member"),
    ("event a number", '{"event":5}', "no event member"),
    ("event a list", '{"event":["media"]}', "no event member"),
    ("media missing", '{"event":"media"}', "media without its object"),
    ("media null", '{"event":"media","media":null}', "media without its object"),
    ("media a list", '{"event":"media","media":[1]}', "media without its object"),
    ("media a text", '{"event":"media","media":"//8="}', "media without its object"),
    ("no payload", '{"event":"media","media":{"track":"inbound","chunk":"2"}}', "media without a payload"),
    ("payload null", '{"event":"media","media":{"payload":null}}', "media without a payload"),
    ("payload a number", '{"event":"media","media":{"payload":5}}', "media without a payload"),
    ("payload a list", '{"event":"media","media":{"payload":[255,255]}}', "media without a payload"),
    ("payload no base64", '{"event":"media","media":{"payload":"*not base64*"}}', "not base64"),
    ("payload of one letter", '{"event":"media","media":{"payload":"A"}}', "not base64"),
    ("payload with padding inside", '{"event":"media","media":{"payload":"AA==AAAA"}}', "not base64"),
    ("payload beyond ASCII", '{"event":"media","media":{"payload":"ÄÖÜß"}}', "not base64"),
    ("payload with a null character", '{"event":"media","media":{"payload":"AAAA\\u0000"}}', "not base64"),
    ("payload empty", '{"event":"media","media":{"track":"inbound","chunk":"9","payload":""}}', "without audio"),
    (
        "payload of blanks",
        '{"event":"media","media":{"track":"inbound","chunk":"9","payload":" \\n"}}',
        "without audio",
    ),
    ("dtmf without its object", '{"event":"dtmf"}', "dtmf without its object"),
    ("dtmf without a digit", '{"event":"dtmf","dtmf":{"duration":100}}', "dtmf without a digit"),
    ("a mark without a name", '{"event":"mark","mark":{}}', "mark without a name"),
    ("a mark null", '{"event":"mark","mark":null}', "mark without a name"),
)
for name, bad_text, warning in garbage:
    bad = {"$text": bad_text} if isinstance(bad_text, str) else {"$repeat": bad_text}
    spoilt(name, "one bad message never ends a call", bad, warning)
spoilt(
    "not a number for a counter",
    "it is audio all the same",
    {"$text": '{"event":"novelty","media":{"timestamp":NaN}}'},
    None,
    bad_frames=0,
)
spoilt("a binary frame", "nothing announced one", {"$binary": "@5"}, "a binary frame")
spoilt("an empty binary frame", "", {"$binary": ""}, "a binary frame")
spoilt("a binary frame that begins like JSON", "", {"$binary": "hex:7b80ff"}, "a binary frame")
case(
    "garbage of all kinds between all frames",
    "no good frame is lost, and each kind is told once",
    [
        *OPEN,
        *(
            each
            for n in range(1, 11)
            for each in ({"$text": "{"}, {"$text": "[]"}, {"event": "media"}, media(f"@{n}", n))
        ),
        STOP,
    ],
    [[IN, f"@{n}", (n - 1) * 0.02] for n in range(1, 11)],
    file="broken",
    warn=["not JSON", "not a JSON object", "media without its object"],
    stats={"bad_frames": 30},
    saved=(1, 1600),
)
case(
    "start twice",
    "the first one wins",
    [*OPEN, M1, start(OUT, encoding="audio/x-L16", rate=16000, callSid="other"), M2, M3, STOP],
    THREE,
    file="broken",
    call_id=CALL,
    warn=["second start"],
    stats={"bad_frames": 1},
    saved=(1, 480),
)
case(
    "a start that is none, then one",
    "the first that is one",
    [
        HELLO,
        {"event": "start"},
        {"event": "start", "start": None},
        {"event": "start", "start": "now"},
        start(),
        M1,
        STOP,
    ],
    [F1],
    file="broken",
    warn=["start without its object"],
    stats={"bad_frames": 3},
)
case(
    "media before start",
    "nothing says how it is encoded: dropped",
    [HELLO, media("@5", 1), media("@6", 2), start(), M1, M2, STOP],
    [F1, F2],
    file="broken",
    warn=["before start"],
    stats={"bad_frames": 2},
    saved=(1, 320),
)
case(
    "keys and marks before start",
    "there is no stream yet",
    [HELLO, {"event": "dtmf", "dtmf": {"digit": "1"}}, {"event": "mark", "mark": {"name": "m"}}, start(), M1, STOP],
    [F1],
    file="broken",
    dtmf=[],
    marks=[],
)
case(
    "anything after stop",
    "is ignored",
    [*OPEN, M1, STOP, M2, {"event": "dtmf", "dtmf": {"digit": "1"}}, start(OUT), {"$text": "{"}],
    [F1],
    file="broken",
    dtmf=[],
    stats={"frames": 1},
    saved=(1, 160),
)
case("stop before start", "it never began", [HELLO, STOP], None, None, file="broken")
case(
    "no start",
    "closed before any came",
    [HELLO, {"event": "novelty"}, {"$close": 1000}],
    None,
    None,
    file="broken",
    warn=["before start was received"],
)
case(
    "only garbage",
    "",
    [{"$text": "GET / HTTP/1.1"}, {"$binary": "@1"}, {"$cut": True}],
    None,
    None,
    file="broken",
    warn=["not JSON", "a binary frame", "before start was received"],
)
case(
    "text that is not UTF-8",
    "ends the connection by the WebSocket protocol error (1007); what came before is kept",
    [*OPEN, M1, {"$bytes": "7b22ff"}],
    [F1],
    "closed",
    file="broken",
    warn=["UTF-8"],
    saved=(1, 160),
)
case(
    "longer than the limit",
    "the size is looked at before the JSON (1009); what came before is kept",
    [*OPEN, M1, {"event": "novelty", "x": "y" * 5000}],
    [F1],
    "closed",
    file="broken",
    options={"max_message": 5000},
    warn=["WebSocket protocol error"],
    saved=(1, 160),
)
case(
    "as long as the limit",
    "eight seconds in one message are legal",
    [*OPEN, media("@1x64000", 1), media("@2", 2, ms="8000"), STOP],
    [[IN, "@1x64000", 0.0], [IN, "@2", 8.0]],
    file="broken",
    saved=(1, 64160),
)
case(
    "a codec that nobody decodes",
    "is handed over raw",
    [start(encoding="AMR-WB", rate=16000), M1, M2, STOP],
    [[IN, "raw:@1", 0.0], [IN, "raw:@2", 0.02]],
    file="broken",
    warn=["neither decoded nor recorded"],
    stats={"seconds": 0.02},
)
case(
    "two channels in one message",
    "mono is all there is: handed over raw",
    [start(encoding="audio/x-L16", rate=8000, channels=2), media("@S1x640", 1), STOP],
    [[IN, "raw:@S1x640", 0.0]],
    file="broken",
    warn=["2 channels"],
    stats={"seconds": 0.0},
)

# -- time --------------------------------------------------------------------------------------------------------------


def run(*chunks: int, **more: Any) -> list[Message]:
    return [media(f"@{n}", n, **more) for n in chunks]


def heard(*chunks: int) -> list[list[Any]]:
    return [[IN, f"@{n}", round((n - 1) * 0.02, 3)] for n in chunks]


def timed(name: str, why: str, send: list[Message], frames: list[list[Any]], **more: Any) -> None:
    case(name, why, [*OPEN, *send, STOP], frames, file="time", **more)


timed("a duplicate", "sent twice in a row", run(1, 2, 2, 3), heard(1, 2, 3), stats={"duplicates": 1}, saved=(1, 480))
timed("the first one twice", "", run(1, 1, 2), heard(1, 2), stats={"duplicates": 1}, saved=(1, 320))
timed("everything twice", "", run(1, 1, 2, 2, 3, 3), heard(1, 2, 3), stats={"duplicates": 3}, saved=(1, 480))
timed("everything again", "", run(1, 2, 3, 1, 2, 3), heard(1, 2, 3), stats={"duplicates": 3}, saved=(1, 480))
timed(
    "a duplicate with a number of its own",
    "track, chunk and timestamp decide",
    [*run(1, 2), media("@2", 2, sequence="4"), *run(3)],
    heard(1, 2, 3),
    stats={"duplicates": 1},
)
timed(
    "a duplicate without a chunk",
    "its time has come before",
    [without(each, "chunk") for each in run(1, 2, 2, 3)],
    heard(1, 2, 3),
    stats={"duplicates": 1},
)
timed(
    "a duplicate without a time",
    "its chunk has come before",
    [without(each, "timestamp") for each in run(1, 2, 2, 3)],
    heard(1, 2, 3),
    stats={"duplicates": 1},
    saved=(1, 480),
)
timed(
    "the same words twice",
    "same audio, other counters: no duplicate",
    [media("@1", 1), media("@1", 2), media("@1", 3)],
    [[IN, "@1", 0.0], [IN, "@1", 0.02], [IN, "@1", 0.04]],
    saved=(1, 480),
)
case(
    "a duplicate on one of two tracks",
    "the other track has the same chunk and time: no duplicate",
    [HELLO, start(IN, OUT), media("@1", 1), media("@1", 1, OUT), media("@1", 1, OUT), media("@2", 2), STOP],
    [F1, [OUT, "@1", 0.0], F2],
    file="time",
    stats={"duplicates": 1},
    saved=(2, 320),
)
timed(
    "one is missing",
    "a hole of 20 ms, silent in the file",
    run(1, 3, 4),
    heard(1, 3, 4),
    stats={"gaps": 1, "missing": 0.02},
    saved=(1, 640),
)
timed("five are missing", "", run(1, 7, 8), heard(1, 7, 8), stats={"gaps": 1, "missing": 0.1}, saved=(1, 1280))
timed(
    "every second one is missing",
    "",
    run(1, 3, 5, 7),
    heard(1, 3, 5, 7),
    stats={"gaps": 3, "missing": 0.06},
    saved=(1, 1120),
)
timed(
    "hold music left out for 30 s",
    "carriers skip silence: chunks go on, time jumps",
    [media("@1", 1), media("@2", 2, ms="30020")],
    [[IN, "@1", 0.0], [IN, "@2", 30.02]],
    stats={"gaps": 1, "missing": 30.0, "seconds": 30.04},
    saved=(1, 240320),
)
timed(
    "an hour is missing",
    "more than 60 s is no hole: it is shortened",
    [media("@1", 1), media("@2", 2, ms="3600020"), media("@3", 3, ms="3600040")],
    [[IN, "@1", 0.0], [IN, "@2", 3600.02], [IN, "@3", 3600.04]],
    stats={"gaps": 1, "missing": 60.0, "seconds": 60.06},
    saved=(1, 480480),
)
timed(
    "two change places",
    "arrival order live, its own place in the file",
    run(1, 3, 2, 4),
    heard(1, 3, 2, 4),
    stats={"late": 1},
    saved=(1, 640),
)
timed(
    "two change places, and a duplicate of the late one",
    "",
    run(1, 3, 2, 2, 4),
    heard(1, 3, 2, 4),
    stats={"late": 1, "duplicates": 1},
    saved=(1, 640),
)
timed(
    "backwards", "all are there in the end", run(1, 5, 4, 3, 2), heard(1, 5, 4, 3, 2), stats={"late": 3}, saved=(1, 800)
)
timed("the first two change places", "nothing is lost", run(2, 1, 3), heard(2, 1, 3), stats={"late": 1}, saved=(1, 480))
timed(
    "late without chunks",
    "the time finds the hole",
    [without(each, "chunk") for each in run(1, 3, 2, 4)],
    heard(1, 3, 2, 4),
    stats={"late": 1},
    saved=(1, 640),
)
timed(
    "put in order on request",
    "a window for carriers that do not keep order",
    run(2, 1, 3, 5, 6, 4, 7),
    heard(1, 2, 3, 4, 5, 6, 7),
    options={"reorder_seconds": 5.0},
    saved=(1, 1120),
)
timed(
    "put in order though one never comes",
    "the end of the stream waits for nobody",
    run(1, 4, 3, 5),
    heard(1, 3, 4, 5),
    options={"reorder_seconds": 60.0},
    stats={"gaps": 1, "missing": 0.02},
    saved=(1, 800),
)
timed(
    "times all zero",
    "a clock that stands still loses nothing",
    [media(f"@{n}", n, ms="0") for n in (1, 2, 3)],
    [[IN, f"@{n}", 0.0] for n in (1, 2, 3)],
    saved=(1, 480),
)
timed("chunks all one", "", [changed(each, chunk="1") for each in run(1, 2, 3)], heard(1, 2, 3), saved=(1, 480))
timed(
    "chunks from zero",
    "as seen of Plivo",
    [changed(each, chunk=n) for n, each in enumerate(run(1, 2, 3))],
    heard(1, 2, 3),
    saved=(1, 480),
)
timed(
    "no counters in the whole stream",
    "frame after frame",
    [without(each, "chunk", "timestamp", "sequenceNumber") for each in run(1, 2, 3)],
    heard(1, 2, 3),
    saved=(1, 480),
)
timed(
    "a clock that jitters by 5 ms",
    "no holes for that",
    [media(f"@{n}", n, ms=str((n - 1) * 20 + j)) for n, j in ((1, 0), (2, 5), (3, -5), (4, 4), (5, 0))],
    [[IN, f"@{n}", ((n - 1) * 20 + j) / 1000] for n, j in ((1, 0), (2, 5), (3, -5), (4, 4), (5, 0))],
    saved=(1, 800),
)
timed(
    "a clock set back by an hour",
    "goes on from there; nothing is taken for a duplicate",
    [media(f"@{n}", n, ms=str(3_600_000 + n * 20)) for n in (1, 2)]
    + [media(f"@{n}", n, ms=str(n * 20)) for n in (3, 4)],
    [[IN, "@1", 3600.02], [IN, "@2", 3600.04], [IN, "@3", 0.06], [IN, "@4", 0.08]],
    saved=(1, 640),
)
timed(
    "all counters begin anew",
    "other audio under known counters is no duplicate",
    [*run(1, 2, 3), *(media(f"@{n + 5}", n, sequence=str(n + 4)) for n in (1, 2, 3))],
    [*heard(1, 2, 3), [IN, "@6", 0.0], [IN, "@7", 0.02], [IN, "@8", 0.04]],
    warn=["do two tracks share"],
    stats={"late": 3},
    saved=(1, 960),
)
timed(
    "two tracks under one name",
    "both are heard, and it is told",
    [media(f"@{n}", 1 + n // 2, sequence=str(n + 2)) for n in range(6)],
    [[IN, f"@{n}", (n // 2) * 0.02] for n in range(6)],
    warn=["do two tracks share"],
    stats={"late": 3},
)

# -- what sounds wrong -------------------------------------------------------------------------------------------------


def wrong(name: str, why: str, send: list[Message], warn: list[str], **more: Any) -> None:
    case(name, why, send, None, file="wrong", warn=warn, frames_not_checked=True, **more)


def many(audio: str, count: int, *, ptime: int = 20) -> list[Message]:
    return [media(audio.replace("?", str(n % 9 + 1)), n, ms=str((n - 1) * ptime)) for n in range(1, count + 1)]


wrong(
    "a WAV header in the payload",
    "the header is noise",
    [*OPEN, media("hex:52494646a0000000574156456d", 1), M2, STOP],
    ["a WAV file"],
)
wrong("an Ogg page in the payload", "", [*OPEN, media("hex:4f676753000200000000", 1), M2, STOP], ["an Ogg file"])
wrong("an MP3 in the payload", "", [*OPEN, media("hex:4944330400000000", 1), M2, STOP], ["an MP3 file"])
wrong(
    "L16 in the wrong byte order",
    "RFC 3551 says big-endian, SignalWire sends little",
    [start(encoding="audio/x-L16", rate=16000), *many("@B?x640", 8), STOP],
    ["l16_byteorder='big'"],
)
wrong("A-law announced as mu-law", "", [*OPEN, *many("@A", 55), STOP], ["looks like PCMA"])
wrong(
    "mu-law announced as A-law",
    "",
    [start(encoding="audio/x-alaw"), *many("@Z", 40), *many("@Z", 60)[40:], STOP],
    ["looks like PCMU"],
)
wrong(
    "twice as much audio as time",
    "L16 announced as PCMU, or 16 kHz as 8 kHz",
    [*OPEN, *many("@?x320", 60), STOP],
    ["2 times as much audio"],
)
wrong(
    "L16 of odd length",
    "",
    [start(encoding="audio/x-L16", rate=8000), media("@S1x321", 1), STOP],
    ["odd number of bytes"],
)
wrong(
    "only silence in",
    "muted, or the wrong track",
    [*OPEN, *many("@Z", 60), STOP],
    ["only silence in"],
    saved=(1, 9600),
)

# -- other carriers ----------------------------------------------------------------------------------------------------

MZ, AC, CA = "MZ" + "1" * 32, "AC" + "2" * 32, "CA" + "3" * 32


def twilio(body: Message) -> Message:
    return {**body, "streamSid": MZ}


case(
    "Twilio, both tracks, a key and a mark",
    "ids in both places, stop with a body",
    [
        {"event": "connected", "protocol": "Call", "version": "1.0.0"},
        twilio(start(IN, OUT, streamSid=MZ, accountSid=AC, callSid=CA, customParameters={"FirstName": "Jane"})),
        twilio(media("@1", 1)),
        twilio(media("@5", 1, OUT)),
        twilio({"event": "dtmf", "sequenceNumber": "5", "dtmf": {"track": "inbound_track", "digit": "1"}}),
        twilio({"event": "mark", "sequenceNumber": "4", "mark": {"name": "my label"}}),
        twilio({"event": "stop", "sequenceNumber": "5", "stop": {"accountSid": AC, "callSid": CA}}),
    ],
    [F1, [OUT, "@5", 0.0]],
    file="carriers",
    stream_id=MZ,
    call_id=CA,
    account_id=AC,
    custom_parameters={"FirstName": "Jane"},
    dtmf=[["1", None]],
    marks=["my label"],
    saved=(2, 160),
)


def telnyx_start(encoding: str = "PCMU", rate: int = 8000, **more: Any) -> Message:
    return {
        "event": "start",
        "sequence_number": "1",
        "start": {
            "user_id": "3E6F995F-85F7-4705-9741-53B116D28237",
            "call_control_id": "v2:T02llQxIyaRkhfRKxgAP8nY511EhFLizdvdUKJiSw8d6A9BborherQ",
            "call_session_id": "ff55a038-6f5d-11ef-9692-02420aeffb1f",
            "from": "+13122010094",
            "to": "+13122123456",
            "tags": ["a"],
            "client_state": "aGF2ZSBhIG5pY2UgZGF5ID1d",
            "media_format": {"encoding": encoding, "sample_rate": rate, "channels": 1},
            **more,
        },
        "stream_id": "32DE0DEA-53CB-4B21-89A4-9E1819C043BC",
    }


def telnyx(audio: str, chunk: int, ms: int | None = None, track: str = IN) -> Message:
    return {
        "event": "media",
        "sequence_number": str(chunk + 1),
        "media": {
            "track": track,
            "chunk": str(chunk),
            "timestamp": str((chunk - 1) * 20 if ms is None else ms),
            "payload": audio,
        },
        "stream_id": "32DE0DEA-53CB-4B21-89A4-9E1819C043BC",
    }


TELNYX_STOP = {
    "event": "stop",
    "sequence_number": "5",
    "stop": {"user_id": "3E6F995F-85F7-4705-9741-53B116D28237", "call_control_id": "v2:T02"},
    "stream_id": "32DE0DEA-53CB-4B21-89A4-9E1819C043BC",
}
TELNYX_HELLO = {"event": "connected", "version": "1.0.0"}
case(
    "Telnyx",
    "snake case, no tracks announced: mono",
    [
        TELNYX_HELLO,
        telnyx_start(custom_parameters={"a": "b"}),
        telnyx("@1", 1),
        telnyx("@2", 2),
        {
            "event": "dtmf",
            "stream_id": "32DE0DEA-53CB-4B21-89A4-9E1819C043BC",
            "occurred_at": "2026-01-01T10:00:00Z",
            "sequence_number": "5",
            "dtmf": {"digit": "1"},
        },
        {
            "event": "mark",
            "sequence_number": "6",
            "stream_id": "32DE0DEA-53CB-4B21-89A4-9E1819C043BC",
            "mark": {"name": "m"},
        },
        TELNYX_STOP,
    ],
    [F1, F2],
    file="carriers",
    stream_id="32DE0DEA-53CB-4B21-89A4-9E1819C043BC",
    call_id="v2:T02llQxIyaRkhfRKxgAP8nY511EhFLizdvdUKJiSw8d6A9BborherQ",
    account_id="3E6F995F-85F7-4705-9741-53B116D28237",
    custom_parameters={"a": "b"},
    dtmf=[["1", None]],
    marks=["m"],
    saved=(1, 320),
)
case(
    "Telnyx, both tracks without having said so",
    "the second makes the file stereo",
    [TELNYX_HELLO, telnyx_start(), telnyx("@1", 1), telnyx("@5", 1, track=OUT), telnyx("@2", 2), TELNYX_STOP],
    [F1, [OUT, "@5", 0.0], F2],
    file="carriers",
    saved=(2, 320),
)
case(
    "Telnyx out of order",
    "it says so itself: sort by chunk",
    [TELNYX_HELLO, telnyx_start(), *(telnyx(f"@{n}", n) for n in (2, 1, 4, 3, 5)), TELNYX_STOP],
    heard(1, 2, 3, 4, 5),
    file="carriers",
    options={"reorder_seconds": 5.0},
    saved=(1, 800),
)
case(
    "Telnyx's example",
    "chunk 2 at 5 ms is the first",
    [TELNYX_HELLO, telnyx_start(), telnyx("@1", 2, 5), telnyx("@2", 3, 25), TELNYX_STOP],
    [[IN, "@1", 0.005], [IN, "@2", 0.025]],
    file="carriers",
    saved=(1, 320),
)
case(
    "Telnyx, an error frame",
    "the stream goes on",
    [
        TELNYX_HELLO,
        telnyx_start(),
        telnyx("@1", 1),
        {
            "event": "error",
            "payload": {"code": 100003, "title": "malformed_frame", "detail": "x"},
            "stream_id": "32DE0DEA-53CB-4B21-89A4-9E1819C043BC",
        },
        telnyx("@2", 2),
        TELNYX_STOP,
    ],
    [F1, F2],
    file="carriers",
)
case(
    "Telnyx, A-law",
    "the codec is the leg's own",
    [TELNYX_HELLO, telnyx_start("PCMA"), telnyx("@1", 1), TELNYX_STOP],
    [F1],
    file="carriers",
    media_format=["PCMA", 8000, 1],
)
case(
    "Telnyx, L16 as RFC 3551 has it",
    "big-endian, on request",
    [TELNYX_HELLO, telnyx_start("L16", 16000), telnyx("@B1x640", 1), TELNYX_STOP],
    [[IN, "@S1x640", 0.0]],
    file="carriers",
    options={"l16_byteorder": "big"},
    saved=(1, 320),
)
case(
    "Telnyx, a token in connected",
    "of no concern, and never logged",
    [{**TELNYX_HELLO, "x-telnyx-streaming-auth-token": "tell-nobody"}, telnyx_start(), telnyx("@1", 1), TELNYX_STOP],
    [F1],
    file="carriers",
)


def plivo_start(encoding: str = "audio/x-mulaw", rate: int = 8000, headers: Any = "{}", sequence: int = 0) -> Message:
    return {
        "sequenceNumber": sequence,
        "event": "start",
        "start": {
            "callId": "a2f5c8b1-2f2a-4a4e-8f0c-1f2e3d4c5b6a",
            "streamId": "b3d1c6f2-7f2a-4a4e-8f0c-1f2e3d4c5b6a",
            "accountId": "MAXXXXXXXXXXXXXXXXXX",
            "tracks": [IN],
            "mediaFormat": {"encoding": encoding, "sampleRate": rate},
        },
        "extra_headers": headers,
    }


def plivo(audio: str, number: int, ms: int) -> Message:
    return {
        "sequenceNumber": number,
        "streamId": "b3d1c6f2-7f2a-4a4e-8f0c-1f2e3d4c5b6a",
        "event": "media",
        "media": {"track": IN, "timestamp": str(ms), "chunk": number, "payload": audio},
        "extra_headers": "{}",
    }


EPOCH = 1_700_000_000_000
case(
    "Plivo",
    "start first, integers, times since 1970, the socket just closes",
    [plivo_start(headers='{"X-PH-tier": "gold"}'), plivo("@1", 1, EPOCH), plivo("@2", 2, EPOCH + 20), {"$close": 1000}],
    [[IN, "@1", EPOCH / 1000], [IN, "@2", EPOCH / 1000 + 0.02]],
    "closed",
    file="carriers",
    stream_id="b3d1c6f2-7f2a-4a4e-8f0c-1f2e3d4c5b6a",
    call_id="a2f5c8b1-2f2a-4a4e-8f0c-1f2e3d4c5b6a",
    account_id="MAXXXXXXXXXXXXXXXXXX",
    custom_parameters={"X-PH-tier": "gold"},
    saved=(1, 320),
)
for name, headers, found in (
    ("name=value;", "X-PH-a=1;X-PH-b=2=3;", {"X-PH-a": "1", "X-PH-b": "2=3"}),
    ("braces alone", "{}", {}),
    ("empty", "", {}),
    ("nonsense", ";;=;no", {}),
    ("null", None, {}),
):
    case(
        f"Plivo, extra_headers: {name}",
        "a text, not an object",
        [plivo_start(headers=headers), plivo("@1", 1, 0), {"$close": 1000}],
        [F1],
        "closed",
        file="carriers",
        custom_parameters=found,
    )
case(
    "Plivo, checkpoints and keys",
    "playedStream is what others call a mark",
    [
        plivo_start(sequence=1),
        plivo("@1", 1, 0),
        {
            "event": "dtmf",
            "sequenceNumber": 5,
            "streamId": "b3d1c6f2-7f2a-4a4e-8f0c-1f2e3d4c5b6a",
            "dtmf": {"track": IN, "digit": "2", "timestamp": "5000"},
            "extra_headers": "{}",
        },
        {
            "sequenceNumber": 6,
            "event": "playedStream",
            "streamId": "b3d1c6f2-7f2a-4a4e-8f0c-1f2e3d4c5b6a",
            "name": "customer greeting audio",
        },
        {"sequenceNumber": 7, "event": "clearedAudio", "streamId": "b3d1c6f2-7f2a-4a4e-8f0c-1f2e3d4c5b6a"},
        {"$close": 1000},
    ],
    [F1],
    "closed",
    file="carriers",
    dtmf=[["2", None]],
    marks=["customer greeting audio"],
)
case(
    "Plivo, L16 at 16 kHz",
    "little-endian",
    [plivo_start("audio/x-l16", 16000), plivo("@S1x640", 1, 0), {"$cut": True}],
    [[IN, "@S1x640", 0.0]],
    "dropped",
    file="carriers",
    saved=(1, 320),
)


def exotel(audio: str, number: int, ms: int) -> Message:
    return {
        "event": "media",
        "sequence_number": number + 1,
        "stream_sid": "9e7c",
        "media": {"chunk": number, "timestamp": str(ms), "payload": audio},
    }


for name, form in (
    ("as it says", {"encoding": "base64", "sample_rate": "8000", "bit_rate": "128kbps"}),
    ("without a format", None),
    ("raw/slin", {"encoding": "raw/slin", "sample_rate": 8000}),
):
    case(
        f"Exotel, {name}",
        "raw 16-bit PCM in frames of 100 ms, no track",
        [
            {"event": "connected"},
            {
                "event": "start",
                "sequence_number": 1,
                "stream_sid": "9e7c",
                "start": {
                    "stream_sid": "9e7c",
                    "call_sid": "c41f",
                    "account_sid": "exo1",
                    "from": "0123",
                    "to": "0456",
                    "custom_parameters": {"FirstName": "Jane"},
                    "media_format": form,
                },
            },
            exotel("@S1x1600", 1, 0),
            exotel("@S2x1600", 2, 100),
            {"event": "dtmf", "sequence_number": 4, "stream_sid": "9e7c", "dtmf": {"duration": "100", "digit": "2"}},
            {"event": "mark", "sequence_number": 5, "stream_sid": "9e7c", "mark": {"name": "x"}},
            {
                "event": "stop",
                "sequence_number": 6,
                "stream_sid": "9e7c",
                "stop": {"call_sid": "c41f", "account_sid": "exo1", "reason": "callended"},
            },
        ],
        [[IN, "@S1x1600", 0.0], [IN, "@S2x1600", 0.1]],
        file="carriers",
        stream_id="9e7c",
        call_id="c41f",
        account_id="exo1",
        custom_parameters={"FirstName": "Jane"},
        dtmf=[["2", 100]],
        marks=["x"],
        saved=(1, 1600),
    )
JAMBONZ = {
    "callSid": "7b2e",
    "callId": "c9d1",
    "accountSid": "acc1",
    "applicationSid": "app1",
    "direction": "inbound",
    "from": "0123",
    "to": "0456",
    "sampleRate": 8000,
    "mixType": "mono",
    "hello": "world",
}
case(
    "jambonz, mono",
    "one text, then binary L16 without any counters; the socket just closes",
    [JAMBONZ, {"$binary": "@S1x320"}, {"$binary": "@S2x320"}, {"$close": 1000}],
    [[IN, "@S1x320", 0.0], [IN, "@S2x320", 0.02]],
    "closed",
    file="carriers",
    call_id="7b2e",
    account_id="acc1",
    media_format=["audio/x-L16", 8000, 1],
    saved=(1, 320),
)
case(
    "jambonz, stereo",
    "two channels in each frame, the caller first: never mixed",
    [{**JAMBONZ, "mixType": "stereo", "sampleRate": 16000}, {"$binary": "@S1x640+@S2x640"}, {"$close": 1000}],
    [[IN, "@S1x640", 0.0], [OUT, "@S2x640", 0.0]],
    "closed",
    file="carriers",
    tracks=[IN, OUT],
    saved=(2, 320),
)
case(
    "jambonz, a key, and garbage",
    "texts go on besides the audio",
    [
        JAMBONZ,
        {"$binary": "@S1x320"},
        {"event": "dtmf", "dtmf": "5", "duration": "1600"},
        {"$text": "{"},
        {"$binary": "@S2x320"},
        {"$cut": True},
    ],
    [[IN, "@S1x320", 0.0], [IN, "@S2x320", 0.02]],
    "dropped",
    file="carriers",
    dtmf=[["5", 1600]],
    warn=["not JSON"],
    stats={"bad_frames": 1},
    saved=(1, 320),
)
case(
    "jambonz, audio before the text",
    "nothing says yet how it is to be read",
    [{"$binary": "@S9x320"}, JAMBONZ, {"$binary": "@S1x320"}, {"$close": 1000}],
    [[IN, "@S1x320", 0.0]],
    "closed",
    file="carriers",
    warn=["a binary frame"],
    stats={"bad_frames": 1},
)
timed(
    "one time that is nonsense, in one of two tracks",
    "the tracks stay beside each other: the wrong frame is where it says, at most a minute later",
    [
        media(f"@{n + 10 * (track == OUT)}", n, track, ms=9_000_000 if (track, n) == (IN, 3) else None)
        for n in range(1, 6)
        for track in (IN, OUT)
    ],
    [
        [track, f"@{n + 10 * (track == OUT)}", 9000.0 if (track, n) == (IN, 3) else round((n - 1) * 0.02, 3)]
        for n in range(1, 6)
        for track in (IN, OUT)
    ],
    stats={"gaps": 2, "missing": 59.96, "late": 2},
    saved=(2, 480_480),
)
case(
    "jambonz, nothing but the kind of mix",
    "8000 Hz where no rate is given",
    [{"callSid": "7b2e", "mixType": "mono"}, {"$binary": "@S1x320"}, {"$close": 1000}],
    [[IN, "@S1x320", 0.0]],
    "closed",
    file="carriers",
    call_id="7b2e",
    saved=(1, 160),
)
case(
    "mod_audio_fork, a text of any shape",
    "its sub-protocol tells that audio follows",
    [{"uuid": "7b2e", "tier": {"a": 1}}, {"$binary": "@S1x320"}, {"$close": 1000}],
    [[IN, "@S1x320", 0.0]],
    "closed",
    file="carriers",
    offers="audio.drachtio.org",
    call_id="7b2e",
    custom_parameters={"uuid": "7b2e", "tier": {"a": 1}},
    saved=(1, 160),
)
case(
    "ids with line breaks and escape sequences",
    "what is shown forges nothing",
    [HELLO, start(IN, callSid="a\nb\u001b[31m", streamSid="\u202es"), media("@1", 1), STOP],
    [[IN, "@1", 0.0]],
    file="tolerance",
    call_id="a?b?[31m",
    stream_id="?s",
)


def main() -> None:
    names = [each["name"] for group in cases.values() for each in group]
    assert len(names) == len(set(names)), sorted(name for name in names if names.count(name) > 1)
    for old in HERE.glob("*.jsonl"):
        old.unlink()
    for name, group in cases.items():
        text = "".join(json.dumps(each, ensure_ascii=False, separators=(",", ":")) + "\n" for each in group)
        (HERE / f"{name}.jsonl").write_text(text, encoding="utf-8", newline="\n")
    print(len(names), "cases")


if __name__ == "__main__":
    main()
