"""Messages: read as tolerantly as carriers differ, written to the letter."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_sync.audio.messages import (
    BadMessage,
    Connected,
    Dtmf,
    Mark,
    Media,
    MediaFormat,
    Start,
    Stop,
    Unknown,
    connected_message,
    dtmf_message,
    mark_message,
    media_message,
    parse_message,
    start_message,
    stop_message,
)

# -- written as SignalWire documents them; the frames on the right are by hand -----------------------------------------


@pytest.mark.parametrize(
    ("written", "wire"),
    [
        (connected_message(), '{"event":"connected","protocol":"Call","version":"0.2.0"}'),
        (
            start_message(
                stream_id="s-1",
                account_id="a-1",
                call_id="c-1",
                tracks=["inbound", "outbound"],
                media_format=MediaFormat("audio/x-mulaw", 8000, 1),
                custom_parameters={"tier": "gold", "n": 1},
            ),
            '{"event":"start","sequenceNumber":"1","start":{"streamSid":"s-1","accountSid":"a-1","callSid":"c-1",'
            '"tracks":["inbound","outbound"],"customParameters":{"tier":"gold","n":1},'
            '"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}}}',
        ),
        (
            media_message(track="inbound", sequence=42, chunk=41, timestamp=800, payload=b"\xff\x7f\x00"),
            '{"event":"media","sequenceNumber":"42","media":{"track":"inbound","chunk":"41","timestamp":"800",'
            '"payload":"/38A"}}',
        ),
        (
            dtmf_message(sequence=123, digit="5", duration=2000),
            '{"event":"dtmf","sequenceNumber":"123","dtmf":{"digit":"5","duration":2000}}',
        ),
        (
            dtmf_message(sequence=123, digit="#", duration=160, stream_id="s-1"),
            '{"event":"dtmf","sequenceNumber":"123","streamSid":"s-1","dtmf":{"digit":"#","duration":160}}',
        ),
        (
            mark_message(name="greeting", stream_id="s-1"),
            '{"event":"mark","streamSid":"s-1","mark":{"name":"greeting"}}',
        ),
        (stop_message(sequence=999), '{"event":"stop","sequenceNumber":"999"}'),
    ],
)
def test_written_to_the_letter(written: str, wire: str) -> None:
    assert written == wire


def test_without_parameters_the_member_is_left_out() -> None:
    text = start_message(
        stream_id="s", account_id="a", call_id="c", tracks=["inbound"], media_format=MediaFormat("audio/x-L16", 16000)
    )
    assert "customParameters" not in text


# -- read --------------------------------------------------------------------------------------------------------------


def _read(event: str, **members: Any) -> Any:
    return parse_message(json.dumps({"event": event, **members}))


def test_the_documented_start() -> None:
    start = parse_message(
        '{"event":"start","sequenceNumber":"1","start":{"streamSid":"s-1","accountSid":"a-1","callSid":"c-1",'
        '"tracks":["inbound","outbound"],"customParameters":{"tier":"gold"},'
        '"mediaFormat":{"encoding":"audio/x-L16","sampleRate":16000,"channels":1}}}'
    )
    assert start == Start(
        stream_id="s-1",
        account_id="a-1",
        call_id="c-1",
        tracks=("inbound", "outbound"),
        custom_parameters={"tier": "gold"},
        media_format=MediaFormat("audio/x-L16", 16000, 1),
        sequence=1,
    )
    assert "gold" not in repr(start)


def test_ids_beside_or_inside_and_in_other_spellings() -> None:
    beside = _read("start", streamSid="MZ1", start={"callSid": "CA1", "accountSid": "AC1", "tracks": ["inbound"]})
    assert (beside.stream_id, beside.call_id, beside.account_id) == ("MZ1", "CA1", "AC1")
    snake = _read("start", stream_id="t", start={"call_control_id": "v", "media_format": {"encoding": "PCMU"}})
    assert (snake.stream_id, snake.call_id, snake.media_format.encoding) == ("t", "v", "PCMU")
    other = _read("start", start={"streamId": "p", "callId": 7, "tracks": ["outbound_track", "inbound_track", "x"]})
    assert (other.stream_id, other.call_id, other.tracks) == ("p", "7", ("inbound", "outbound"))


def test_a_start_that_says_nothing_means_the_default() -> None:
    start = _read("start", start={})
    assert start.media_format.encoding == "audio/x-mulaw"
    assert start.tracks == ()
    assert start.custom_parameters == {}


@pytest.mark.parametrize("rate", [-1, 0, 1, 3999, "x", None, True, 10**9, [8000], 8000.5])
def test_a_rate_that_is_none(rate: object) -> None:
    assert _read("start", start={"mediaFormat": {"encoding": "audio/x-L16", "sampleRate": rate}}).media_format == (
        MediaFormat("audio/x-L16", 0, 1)
    )


@pytest.mark.parametrize("as_sent", [str, int, float, lambda n: f" {n} ", lambda n: f"{n}.0"])
def test_counters_as_strings_or_numbers(as_sent: Any) -> None:
    media = _read(
        "media",
        sequenceNumber=as_sent(42),
        media={"track": "inbound", "chunk": as_sent(41), "timestamp": as_sent(800), "payload": "AAA="},
    )
    assert media == Media(track="inbound", payload=b"\0\0", timestamp=800, chunk=41, sequence=42)


@pytest.mark.parametrize("counter", [None, "", "x", -1, "-1", True, 2**60, "9" * 40, float("nan"), [], {}, "٣"])
def test_counters_that_are_none_cost_no_audio(counter: object) -> None:
    media = _read("media", sequenceNumber=counter, media={"chunk": counter, "timestamp": counter, "payload": "AAA="})
    assert media == Media(track="", payload=b"\0\0")


@pytest.mark.parametrize("as_sent", [20.5, "20.5", " 20.50 "])
def test_times_may_be_fractions_and_counters_may_not(as_sent: object) -> None:
    media = _read("media", media={"chunk": as_sent, "timestamp": as_sent, "payload": "AAA="})
    assert (media.timestamp, media.chunk) == (20.5, None)


@pytest.mark.parametrize(
    ("track", "read"),
    [("inbound", "inbound"), ("OUTBOUND", "outbound"), ("inbound_track", "inbound"), (None, ""), (3, ""), ("x", "x")],
)
def test_tracks(track: object, read: str) -> None:
    assert _read("media", media={"track": track, "payload": ""}).track == read


STARTED = _read("start", streamSid="MZ1", start={"stream_id": "own", "callSid": "CA1", "call_control_id": "v3:1"})


@pytest.mark.parametrize(
    "members",
    [
        {"streamSid": "MZ2"},
        {"stream_id": "MZ2"},
        {"callSid": "CA2"},
        {"call_control_id": "v3:2"},
        {"inner": {"streamSid": "MZ2"}},
        {"inner": {"streamId": 7}},
        {"inner": {"callSid": "CA2"}},
        {"streamSid": "MZ1", "inner": {"call_id": "CA2"}},
    ],
)
@pytest.mark.parametrize(
    ("event", "inner"),
    [("media", {"payload": "AAA="}), ("dtmf", {"digit": "5"}), ("mark", {"name": "m"}), ("stop", {"accountSid": "AC"})],
)
def test_what_names_another_stream_or_call_is_refused(
    event: str, inner: dict[str, Any], members: dict[str, Any]
) -> None:
    beside = {name: value for name, value in members.items() if name != "inner"}
    text = json.dumps({"event": event, event: {**inner, **members.get("inner", {})}, **beside})
    parse_message(text)  # before a start nobody knows
    if event == "stop" and not any("stream" in name.lower() for name in (*beside, *members.get("inner", {}))):
        assert parse_message(text, of=STARTED) == Stop()  # carriers name the call of a stop in several ways
        return
    if event == "stop" and members.get("streamSid") == "MZ1":
        assert parse_message(text, of=STARTED) == Stop()
        return
    with pytest.raises(BadMessage, match=r"for another (stream|call)"):
        parse_message(text, of=STARTED)


@pytest.mark.parametrize(
    ("members", "what"),
    [
        ({"streamSid": "CA1"}, "stream"),
        ({"stream_id": "v3:1"}, "stream"),
        ({"callSid": "MZ1"}, "call"),
        ({"call_id": "own"}, "call"),
    ],
)
def test_an_id_of_one_kind_is_none_of_the_other(members: dict[str, Any], what: str) -> None:
    text = json.dumps({"event": "media", **members, "media": {"track": "inbound", "payload": ""}})
    with pytest.raises(BadMessage, match=f"for another {what}"):
        parse_message(text, of=STARTED)
    if what == "stream":  # a stop is judged by its stream
        with pytest.raises(BadMessage, match="for another stream"):
            parse_message(json.dumps({"event": "stop", **members, "stop": {}}), of=STARTED)


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"streamSid": "MZ1"},
        {"streamSid": "MZ1", "stream_id": "own"},
        {"streamSid": None, "stream_id": "own"},
        {"streamSid": ["MZ2"], "callSid": ""},  # no name at all
        {"callSid": "CA1"},
        {"call_id": "v3:1"},
        {"accountSid": "AC2"},
    ],
)
def test_what_names_its_stream_or_call_by_any_of_its_names_is_taken(members: dict[str, Any]) -> None:
    for text in ({"media": {"payload": "AAA="}, **members}, {"media": {"payload": "AAA=", **members}}):
        assert parse_message(json.dumps({"event": "media", **text}), of=STARTED) == Media("", b"\0\0")


def test_ids_that_the_start_did_not_give_are_not_compared() -> None:
    start = _read("start", start={"tracks": ["inbound"]})
    assert parse_message('{"event":"stop","streamSid":"MZ1","stop":{"callSid":"CA1"}}', of=start) == Stop()


def test_a_key_of_a_track_that_no_call_has_is_refused() -> None:
    assert _read("dtmf", dtmf={"digit": "5", "track": "OUTBOUND_TRACK"}) == Dtmf("5", None, "outbound")
    with pytest.raises(BadMessage, match="track"):
        _read("dtmf", dtmf={"digit": "5", "track": "sideways"})


def test_the_small_ones() -> None:
    assert _read("connected", protocol="Call", version="9.9.9") == Connected("Call", "9.9.9")
    assert _read("connected") == Connected()
    assert _read("dtmf", dtmf={"digit": "5", "duration": 2000}) == Dtmf("5", 2000)
    assert _read("dtmf", dtmf={"digit": 5, "duration": "250", "track": "inbound_track"}) == Dtmf("5", 250, "inbound")
    assert _read("mark", streamSid="s", mark={"name": "m"}) == Mark("m")
    assert _read("mark", streamSid="s", mark={"name": "m" * 256}) == Mark("m" * 256)
    assert _read("stop", sequenceNumber="9") == Stop()
    assert _read("stop", stop={"accountSid": "AC", "callSid": "CA"}) == Stop()


def test_unknown_events_pass_through() -> None:
    message = _read("error", payload={"code": 100002})
    assert isinstance(message, Unknown)
    assert (message.event, message.fields["payload"]) == ("error", {"code": 100002})


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (b"\x00\x01", "a binary frame"),
        (b"{\xff", "a binary frame"),
        (b"{", "not JSON"),
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("1" * 5000, "not JSON"),
        ('{"event":"media","x":' + "1" * 5000 + "}", "not JSON"),
        ("[]", "not a JSON object"),
        ("null", "not a JSON object"),
        ("{}", "no event member"),
        ('{"event":["media"]}', "no event member"),
        ('{"event":"start"}', "start without its object"),
        ('{"event":"media"}', "media without its object"),
        ('{"event":"media","media":[]}', "media without its object"),
        ('{"event":"media","media":{}}', "media without a payload"),
        ('{"event":"media","media":{"payload":5}}', "media without a payload"),
        ('{"event":"media","media":{"payload":"***"}}', "a payload that is not base64"),
        ('{"event":"dtmf"}', "dtmf without its object"),
        ('{"event":"dtmf","dtmf":{}}', "dtmf without a digit"),
        ('{"event":"mark","mark":{}}', "mark without a name"),
        ('{"event":"mark","mark":{"name":"' + "m" * 257 + '"}}', "mark with a name that is too long"),
    ],
)
def test_bad_messages_by_kind(text: str | bytes, kind: str) -> None:
    with pytest.raises(BadMessage) as caught:
        parse_message(text)
    assert caught.value.kind == kind


def test_not_a_number_and_double_keys_are_no_harm() -> None:
    message = parse_message('{"event":"x","event":"media","media":{"payload":"AAA=","timestamp":NaN,"chunk":Infinity}}')
    assert message == Media(track="", payload=b"\0\0")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
_KNOWN = [
    *("event", "start", "media", "dtmf", "mark", "stop", "streamSid", "callSid", "tracks", "customParameters"),
    *("mediaFormat", "encoding", "sampleRate", "channels", "track", "chunk", "timestamp", "payload", "sequenceNumber"),
    *("digit", "duration", "name"),
]
_shaped = st.recursive(
    _json,
    lambda inner: st.dictionaries(st.sampled_from(_KNOWN), inner, max_size=6),
    max_leaves=8,
)


@given(st.sampled_from(["connected", "start", "media", "dtmf", "mark", "stop", "?"]), _shaped, _shaped)
def test_any_json_is_a_message_or_a_bad_one(event: str, body: Any, more: Any) -> None:
    fields = {**(more if isinstance(more, dict) else {}), "event": event, event if event != "?" else "x": body}
    try:
        message = parse_message(json.dumps(fields))
    except BadMessage:
        return
    assert isinstance(message, Connected | Start | Media | Dtmf | Mark | Stop | Unknown)


@given(st.text() | st.binary())
def test_anything_at_all(noise: str | bytes) -> None:
    with pytest.raises(BadMessage):
        parse_message(noise)


@given(
    st.sampled_from(["inbound", "outbound"]),
    *(st.integers(0, 2**40) for _ in range(3)),
    st.binary(max_size=2000),
)
def test_what_is_written_is_what_is_read(track: str, sequence: int, chunk: int, timestamp: int, payload: bytes) -> None:
    text = media_message(track=track, sequence=sequence, chunk=chunk, timestamp=timestamp, payload=payload)
    message = Media(track=track, payload=payload, timestamp=timestamp, chunk=chunk, sequence=sequence)
    assert parse_message(text) == message
    json.loads(text)
