"""Status callbacks: both dialects, both methods, signatures with the published vectors, and whatever else may be sent."""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_sync import InvalidParameter, WebhookRefused
from relay_sync.simulator import Simulator
from relay_sync.webhooks import OtherStatus, RecordingStatus, StreamStatus, Webhooks
from relay_sync.webhooks.signatures import is_genuine, sign_form, sign_json, sign_json_sha256, spellings
from tests.support import PATIENCE
from tests.support.callbacks import AS_FORM, AS_JSON, FORM, JSON_BODY, KEY, form
from tests.support.interrupts import at_step
from tests.support.lines import line
from tests.support.peers import Hooks, Receiver

URL = "https://hooks.example.com/stream-status"
FORM_SIGNATURE = "qQwPuxXhM5hW27I2WlrwV+PQsNU="
JSON_SIGNATURE = "40a524683c8a530ef9b127b02617f9bd259ddada"
JSON_SHA256 = "ce0a0cf0ac6186c363ce1740456ea86e167c7a9472be3c95649eab5d64af4e3e"
ENVELOPE = {
    "event_type": "calling.call.stream",
    "event_channel": "swml:5a00",
    "timestamp": 1777565701.5,
    "project_id": "4d0c",
    "space_id": "77aa",
    "params": {
        "call_id": "0a1b",
        "node_id": "c0de",
        "segment_id": "0a1b",
        "tag": "vip",
        "control_id": "stream-control-1",
        "state": "streaming",
        "url": "wss://media.example.com/audio?secret=tell-nobody",
        "name": "my-stream",
    },
}
SENT = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)


def test_the_vector_of_forms() -> None:
    assert sign_form(KEY, URL, FORM) == sign_form(KEY, URL, FORM[::-1]) == FORM_SIGNATURE


def test_blank_values_count_and_repeated_names_keep_their_order() -> None:
    fields = [("b", "2"), ("a", ""), ("b", "1")]
    by_hand = base64.b64encode(hmac.new(KEY.encode(), f"{URL}ab2b1".encode(), hashlib.sha1).digest()).decode()
    headers = {**AS_FORM, "X-SignalWire-Signature": by_hand}
    assert Webhooks(signing_key=KEY).parse("POST", URL, headers, b"b=2&a=&b=1").verified is True
    assert Webhooks(signing_key=KEY).parse("POST", URL, headers, b"b=1&a=&b=2").verified is False
    assert sign_form(KEY, URL, fields) == by_hand


def test_the_vectors_of_json() -> None:
    assert sign_json(KEY, URL, JSON_BODY) == JSON_SIGNATURE
    assert sign_json_sha256(KEY, URL, JSON_BODY) == JSON_SHA256


def test_the_vector_of_an_upgrade() -> None:
    token, url = "inventedTwilioAuthToken000000001", "wss://media.example.com/audio"
    assert sign_form(token, url, ()) == "tU6XlaZ52QM9YwMetoKQOC23WqA="


@pytest.mark.parametrize("header", ["X-SignalWire-Signature", "x-twilio-signature"])
def test_a_signed_form(header: str) -> None:
    hooks = Webhooks(signing_key=KEY, strict=True)
    seen = hooks.parse("post", URL, {**AS_FORM, header: FORM_SIGNATURE}, form())
    assert isinstance(seen, StreamStatus)
    assert (seen.verified, seen.dialect, seen.name, seen.state) == (True, "cxml", "stream-started", "streaming")
    assert (seen.call_id, seen.stream_id, seen.stream_name) == ("c1", "s1", "s1")
    assert seen.project_id == "4d0c0ffe-1111-4222-8333-444455556666"
    assert seen.timestamp == SENT


@pytest.mark.parametrize(
    "headers",
    [
        {"X-SignalWire-Signature": JSON_SIGNATURE},
        {"X-SignalWire-SHA256-Signature": JSON_SHA256},
        {"X-SignalWire-Signature": JSON_SIGNATURE, "X-SignalWire-SHA256-Signature": JSON_SHA256},
    ],
)
def test_signed_json(headers: dict[str, str]) -> None:
    seen = Webhooks(signing_key=["another", KEY], strict=True).parse("POST", URL, {**AS_JSON, **headers}, JSON_BODY)
    assert isinstance(seen, StreamStatus)
    assert seen.verified is True


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({**AS_JSON, "X-SignalWire-Signature": JSON_SIGNATURE}, JSON_BODY + b" "),
        ({**AS_JSON, "X-SignalWire-Signature": JSON_SIGNATURE.upper()}, JSON_BODY),
        ({**AS_JSON, "X-SignalWire-Signature": JSON_SIGNATURE, "X-SignalWire-SHA256-Signature": "0" * 64}, JSON_BODY),
        ({**AS_JSON, "X-SignalWire-Signature": "\udcff\xe9"}, JSON_BODY),
        ({**AS_FORM, "X-SignalWire-Signature": FORM_SIGNATURE}, form([*FORM, ("StreamError", "")])),
        ({**AS_FORM, "X-SignalWire-Signature": sign_form(KEY, URL, ())}, form()),
    ],
)
def test_wrong_signatures(headers: dict[str, str], body: bytes) -> None:
    seen = Webhooks(signing_key=KEY).parse("POST", URL, headers, body)
    assert seen.verified is False
    assert "is invalid" in seen.finding
    with pytest.raises(WebhookRefused, match="signature is invalid") as caught:
        Webhooks(signing_key=KEY, strict=True).parse("POST", URL, headers, body)
    assert caught.value.status == 403


def test_what_cannot_be_told() -> None:
    assert Webhooks(signing_key=KEY).parse("POST", URL, AS_FORM, form()).verified is None
    with pytest.raises(WebhookRefused, match="the request has no signature"):
        Webhooks(signing_key=KEY, strict=True).parse("POST", URL, AS_FORM, form())
    seen = Webhooks().parse("POST", URL, {**AS_FORM, "X-SignalWire-Signature": FORM_SIGNATURE}, form())
    assert seen.verified is None
    assert "no signing key" in seen.finding


def test_the_key_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNALWIRE_SIGNING_KEY", KEY)
    signed = {**AS_FORM, "X-SignalWire-Signature": FORM_SIGNATURE}
    assert Webhooks().parse("POST", URL, signed, form()).verified is True
    assert Webhooks(signing_key="another").parse("POST", URL, signed, form()).verified is False


# -- URLs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "seen", "headers"),
    [
        ({}, URL, {}),
        ({}, "https://hooks.example.com:443/stream-status", {}),
        ({}, "/stream-status", {"Host": "hooks.example.com"}),
        ({"public_url": "https://hooks.example.com"}, "http://10.0.0.7:8000/stream-status", {}),
        ({"public_url": "https://hooks.example.com/"}, "/stream-status", {}),
        ({"public_url": "https://hooks.example.com:443"}, "/stream-status", {}),
        ({"public_url": URL}, "http://10.0.0.7:8000/stream-status", {}),
        ({"public_url": "https://user:password@hooks.example.com"}, "/stream-status", {}),
        (
            {"trust_forwarded": True},
            "http://10.0.0.7:8000/stream-status",
            {"X-Forwarded-Proto": "https, http", "X-Forwarded-Host": "hooks.example.com, inner"},
        ),
    ],
)
def test_the_url_that_was_signed(options: Any, seen: str, headers: dict[str, str]) -> None:
    hooks = Webhooks(signing_key=KEY, **options)
    assert hooks.parse("POST", seen, {**AS_FORM, **headers, "X-SignalWire-Signature": FORM_SIGNATURE}, form()).verified


@pytest.mark.parametrize(
    ("options", "seen", "headers"),
    [
        ({}, "http://hooks.example.com/stream-status", {}),
        ({}, URL + "/", {}),
        ({}, URL + "?a=b", {}),
        ({}, "http://inner/stream-status", {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "hooks.example.com"}),
        ({"public_url": "https://other.example.com"}, URL, {"Host": "hooks.example.com"}),
        ({"trust_forwarded": True}, URL, {"X-Forwarded-Host": "[::"}),
        ({"trust_forwarded": True}, URL, {"X-Forwarded-Host": "h:port"}),
    ],
)
def test_another_url(options: Any, seen: str, headers: dict[str, str]) -> None:
    hooks = Webhooks(signing_key=KEY, **options)
    found = hooks.parse("POST", seen, {**AS_FORM, **headers, "X-SignalWire-Signature": FORM_SIGNATURE}, form())
    assert found.verified is False


def test_a_path_alone_may_have_been_reached_by_either_scheme() -> None:
    for scheme in ("http", "https"):
        signature = sign_form(KEY, f"{scheme}://hooks.example.com:8000/status", FORM)
        headers = {**AS_FORM, "Host": "hooks.example.com:8000", "X-SignalWire-Signature": signature}
        assert Webhooks(signing_key=KEY).parse("POST", "/status", headers, form()).verified


def test_a_prefix_that_the_proxy_takes_off() -> None:
    public = "https://example.com/app"
    signature = sign_form(KEY, f"{public}/status", FORM)
    hooks = Webhooks(signing_key=KEY, public_url=public)
    for seen in ("/status", "/app/status"):
        assert hooks.parse("POST", seen, {**AS_FORM, "X-SignalWire-Signature": signature}, form()).verified


def test_the_root_with_and_without_its_slash() -> None:
    for signed in ("https://example.com", "https://example.com/"):
        for options in ({}, {"public_url": "https://example.com"}):
            headers = {**AS_FORM, "X-SignalWire-Signature": sign_form(KEY, signed, FORM)}
            hooks = Webhooks(signing_key=KEY, **options)  # type: ignore[arg-type]
            assert hooks.parse("POST", "https://example.com/", headers, form()).verified, (signed, options)


def test_spellings() -> None:
    assert spellings("https://h/p?q") == ["https://h/p?q", "https://h:443/p?q"]
    assert spellings("http://h:80/p") == ["http://h:80/p", "http://h/p"]
    assert spellings("https://h:8443/p") == ["https://h:8443/p", "https://h/p"]
    assert spellings("https://u:p@h/") == ["https://u:p@h/", "https://u:p@h:443/", "https://h/", "https://h:443/"]
    assert spellings("https://[::1]/") == ["https://[::1]/", "https://[::1]:443/"]


def test_a_digest_in_the_url_is_checked_too() -> None:
    digest = hashlib.sha256(JSON_BODY).hexdigest()
    for stated, good in ((digest, True), ("0" * 64, False)):
        url = f"{URL}?bodySHA256={stated}"
        by_url = base64.b64encode(hmac.new(KEY.encode(), url.encode(), hashlib.sha1).digest()).decode()
        for signature in (by_url, sign_json(KEY, url, JSON_BODY)):
            headers = {**AS_JSON, "X-SignalWire-Signature": signature}
            assert Webhooks(signing_key=KEY).parse("POST", url, headers, JSON_BODY).verified is good


def test_comparison_is_not_fooled_by_nothing() -> None:
    assert not is_genuine([KEY], [URL], signature="", sha256="", body=b"", fields=None)
    assert not is_genuine([], [URL], signature=FORM_SIGNATURE, sha256="", body=b"", fields=FORM)


# -- what they tell ----------------------------------------------------------------------------------------------------


def test_a_stream_of_relay() -> None:
    seen = Webhooks().parse("POST", "/status", AS_JSON, json.dumps(ENVELOPE).encode())
    assert isinstance(seen, StreamStatus)
    assert (seen.dialect, seen.name, seen.state) == ("relay", "calling.call.stream", "streaming")
    assert (seen.call_id, seen.control_id, seen.stream_name) == ("0a1b", "stream-control-1", "my-stream")
    assert (seen.project_id, seen.tag, seen.url) == ("4d0c", "vip", "wss://media.example.com/audio?secret=tell-nobody")
    assert seen.timestamp == datetime.datetime.fromtimestamp(1777565701.5, datetime.UTC)
    assert seen.members["segment_id"] == "0a1b"
    assert "tell-nobody" not in repr(seen)
    assert "media.example.com" in repr(seen)


def test_a_stream_of_relay_by_get() -> None:
    flat = {name: str(value) for name, value in ENVELOPE.items() if name != "params"} | dict(ENVELOPE["params"])  # type: ignore[call-overload]
    nested = {**flat, "params": json.dumps(ENVELOPE["params"])}
    for query in (flat, nested):
        seen = Webhooks().parse("GET", "/status?" + urlencode(query), {})
        assert isinstance(seen, StreamStatus)
        assert (seen.dialect, seen.state, seen.call_id, seen.stream_name) == ("relay", "streaming", "0a1b", "my-stream")
        assert seen.timestamp == datetime.datetime.fromtimestamp(1777565701.5, datetime.UTC)


def test_a_signed_get() -> None:
    url = f"{URL}?{urlencode(FORM)}"
    for signature in (sign_form(KEY, url, ()), sign_json(KEY, url, b"")):
        seen = Webhooks(signing_key=KEY).parse("GET", url, {"X-SignalWire-Signature": signature}, b"not looked at")
        assert isinstance(seen, StreamStatus)
        assert (seen.verified, seen.state, seen.stream_id) == (True, "streaming", "s1")


@pytest.mark.parametrize(
    ("event", "state"),
    [("stream-started", "streaming"), ("stream-stopped", "finished"), ("stream-error", "error"), ("odd", "odd")],
)
def test_events_of_cxml_streams(event: str, state: str) -> None:
    fields = {
        "CallSid": "c",
        "StreamSid": "s",
        "StreamName": "n",
        "StreamTrack": "both_tracks",
        "StreamEvent": event,
        "StreamError": "connection_refused",
        "ConferenceSid": "f",
    }
    seen = Webhooks().parse("POST", "/", AS_FORM, form(fields))
    assert isinstance(seen, StreamStatus)
    assert (seen.state, seen.name, seen.stream_name, seen.track) == (state, event, "n", "both_tracks")
    assert (seen.error, seen.conference_id, seen.timestamp) == ("connection_refused", "f", None)


def test_the_call_of_a_form_may_be_named_otherwise() -> None:
    assert Webhooks().parse("POST", "/", AS_FORM, form({"Unique-ID": "u", "StreamEvent": "x"})).call_id == "u"


def test_a_recording_of_relay() -> None:
    params = {
        "call_id": "c",
        "control_id": "k",
        "node_id": "n",
        "state": "finished",
        "recording_id": "r",
        "url": "https://files.example.test/rec/61d0c5e8.mp3",
        "duration": 12.48,
        "size": 49920,
        "start_time": 1767225610.2,
        "record": {"audio": {"format": "mp3"}},
    }
    body = {"event_type": "calling.call.record", "timestamp": 1767225619.412, "params": params}
    seen = Webhooks().parse("POST", "/", AS_JSON, json.dumps(body).encode())
    assert isinstance(seen, RecordingStatus)
    assert (seen.state, seen.recording_id, seen.control_id) == ("finished", "r", "k")
    assert (seen.url, seen.duration, seen.size) == (params["url"], 12.48, 49920)
    assert seen.start_time == datetime.datetime.fromtimestamp(1767225610.2, datetime.UTC)


def test_a_recording_s_figures_one_level_down() -> None:
    record = {"audio": {"url": "https://a.test/x", "duration": "3.5"}, "size": 7}
    body = {"event_type": "calling.call.record", "params": {"state": "recording", "record": record}}
    seen = Webhooks().parse("POST", "/", AS_JSON, json.dumps(body).encode())
    assert isinstance(seen, RecordingStatus)
    assert (seen.url, seen.duration, seen.size, seen.state) == ("https://a.test/x", 3.5, 7, "recording")


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("in-progress", "recording"),
        ("paused", "paused"),
        ("completed", "finished"),
        ("absent", "no_input"),
        ("failed", "error"),
        ("other", "other"),
    ],
)
def test_states_of_cxml_recordings(status: str, state: str) -> None:
    fields = {
        "CallSid": "c",
        "RecordingSid": "r",
        "RecordingUrl": "https://files.example.test/rec",
        "RecordingStatus": status,
        "RecordingDuration": "12",
        "RecordingChannels": "2",
        "ErrorCode": "0",
    }
    seen = Webhooks().parse("POST", "/", AS_FORM, form(fields))
    assert isinstance(seen, RecordingStatus)
    assert (seen.state, seen.name, seen.recording_id, seen.duration) == (state, status, "r", 12.0)
    assert (seen.channels, seen.error, seen.url) == (2, "", "https://files.example.test/rec")


def test_other_callbacks_pass_through() -> None:
    seen = Webhooks().parse("POST", "/", AS_FORM, form({"CallSid": "c", "CallStatus": "ringing"}))
    assert isinstance(seen, OtherStatus)
    assert (seen.name, seen.call_id, seen.members["CallStatus"]) == ("ringing", "c", "ringing")
    seen = Webhooks().parse("POST", "/", AS_JSON, b'{"event_type":"calling.transcript.completed","params":{"id":"t"}}')
    assert isinstance(seen, OtherStatus)
    assert (seen.name, seen.members) == ("calling.transcript.completed", {"id": "t"})


def test_members_of_wrong_types_are_as_if_they_were_not_there() -> None:
    params = {"call_id": ["c"], "state": 7, "name": {}, "url": None}
    body = {"event_type": "calling.call.stream", "timestamp": 1e300, "project_id": 1, "params": params}
    seen = Webhooks().parse("POST", "/", AS_JSON, json.dumps(body).encode())
    assert isinstance(seen, StreamStatus)
    assert (seen.call_id, seen.state, seen.stream_name, seen.url, seen.timestamp) == ("", "", "", "", None)
    body = {"event_type": "calling.call.record", "params": {"duration": -1, "size": "x", "start_time": "yesterday"}}
    recording = Webhooks().parse("POST", "/", AS_JSON, json.dumps(body).encode())
    assert isinstance(recording, RecordingStatus)
    assert (recording.duration, recording.size, recording.start_time) == (0.0, 0, None)


RECORDING = {
    "AccountSid": "a1",
    "CallSid": "c1",
    "RecordingSid": "r1",
    "RecordingUrl": "https://example.com/r1",
    "RecordingStatus": "completed",
    "RecordingDuration": 94,
    "RecordingChannels": 1,
    "ErrorCode": 13227,
}


@pytest.mark.parametrize("label", [AS_JSON, AS_FORM, {}, {"Content-Type": "application/vnd.x+json"}])
@pytest.mark.parametrize("written", ["json", "form", "json with a mark"])
def test_the_members_tell_the_dialect_whatever_they_are_written_in(label: dict[str, str], written: str) -> None:
    body = form(RECORDING) if written == "form" else json.dumps(RECORDING).encode()
    if written == "json with a mark":
        body = b"\xef\xbb\xbf" + body
    seen = Webhooks().parse("POST", "/status", label, body)
    assert isinstance(seen, RecordingStatus)
    assert (seen.dialect, seen.state, seen.call_id, seen.project_id) == ("cxml", "finished", "c1", "a1")
    assert (seen.duration, seen.channels, seen.error, seen.url) == (94.0, 1, "13227", "https://example.com/r1")
    assert seen.members == (RECORDING if written != "form" else {name: str(each) for name, each in RECORDING.items()})


@pytest.mark.parametrize("label", [AS_JSON, AS_FORM, {}])
def test_an_event_is_one_whatever_it_is_written_in(label: dict[str, str]) -> None:
    flat = {"event_type": "calling.call.stream", "timestamp": "5", "call_id": "c", "state": "finished"}
    nested = {"event_type": "calling.call.stream", "timestamp": 5, "params": {"call_id": "c", "state": "finished"}}
    for body in (form(flat), json.dumps(nested).encode(), b" \n" + json.dumps(nested).encode()):
        seen = Webhooks().parse("POST", "/status", label, body)
        assert isinstance(seen, StreamStatus)
        assert (seen.dialect, seen.state, seen.call_id) == ("relay", "finished", "c")


@pytest.mark.parametrize(
    ("members", "kind", "state"),
    [
        ({"CallSid": "c", "StreamSid": "s", "StreamEvent": "stream-stopped"}, "stream", "finished"),
        ({"CallSid": "c", "CallStatus": "ringing"}, "call", "ringing"),
        ({"MessageSid": "m", "MessageStatus": "delivered", "ErrorCode": 0}, "message", "delivered"),
        ({"SmsStatus": "sent", "ErrorCode": None}, "message", "sent"),
        ({"FaxSid": "f", "FaxStatus": "received"}, "other", "received"),
    ],
)
def test_cxml_in_json_of_every_kind(members: dict[str, Any], kind: str, state: str) -> None:
    body = json.dumps(members).encode()
    signed = {**AS_JSON, "X-SignalWire-Signature": sign_json(KEY, URL, body)}
    seen = Webhooks(signing_key=KEY).parse("POST", URL, signed, body)
    assert (seen.dialect, seen.kind, seen.state, seen.error, seen.verified) == ("cxml", kind, state, "", True)


def test_a_repetition_is_told_and_has_the_same_key() -> None:
    hooks = Webhooks()
    first, second = (hooks.parse("POST", "/", AS_JSON, json.dumps(ENVELOPE).encode()) for _ in range(2))
    assert (first.repeated, second.repeated, first.key) == (False, True, second.key)
    reordered = dict(reversed(list(ENVELOPE.items())))
    assert hooks.parse("POST", "/", AS_JSON, json.dumps(reordered).encode()).repeated
    later = {**ENVELOPE, "timestamp": 1777565702.5}
    assert not hooks.parse("POST", "/", AS_JSON, json.dumps(later).encode()).repeated
    assert not Webhooks().parse("POST", "/", AS_JSON, json.dumps(ENVELOPE).encode()).repeated


def test_of_two_threads_that_get_the_same_callback_one_finds_it_new() -> None:
    """Whatever the one has done of its work when the other comes."""
    step, more = 0, True
    while more:
        step, hooks = step + 1, Webhooks()
        found: list[bool] = []

        def get(hooks: Webhooks = hooks, found: list[bool] = found) -> None:
            found.append(hooks.parse("GET", "/?CallSid=c&CallStatus=ringing", {}).repeated)

        more = at_step(step, "Webhooks.parse", get, get)
        assert sorted(found) == ([False, True] if more else [False]), step
    assert step > 50


def test_only_what_was_dealt_with_is_remembered_if_so_wished() -> None:
    hooks = Webhooks(signing_key=KEY)
    for headers in (AS_FORM, {**AS_FORM, "X-SignalWire-Signature": FORM_SIGNATURE}):
        callback = hooks.parse("POST", URL, headers, form(), remember=False)
        again = hooks.parse("POST", URL, headers, form(), remember=False)
        assert (callback.repeated, again.repeated) == (False, False)
        hooks.remember(callback)
        assert hooks.parse("POST", URL, headers, form(), remember=False).repeated
    forged = hooks.parse("POST", URL, {**AS_FORM, "X-SignalWire-Signature": "forged"}, form(), remember=False)
    hooks.remember(forged)
    assert not hooks.parse("POST", URL, {**AS_FORM, "X-SignalWire-Signature": "forged"}, form()).repeated
    with pytest.raises(InvalidParameter):
        hooks.remember("callback")  # type: ignore[arg-type]


def test_a_forged_callback_does_not_make_the_genuine_one_a_repetition() -> None:
    hooks = Webhooks(signing_key=KEY)
    forged = hooks.parse("POST", URL, {**AS_FORM, "X-SignalWire-Signature": "forged"}, form())
    genuine = hooks.parse("POST", URL, {**AS_FORM, "X-SignalWire-Signature": FORM_SIGNATURE}, form())
    assert (forged.verified, genuine.verified, genuine.repeated) == (False, True, False)
    hooks = Webhooks(signing_key=KEY)
    unsigned = hooks.parse("POST", URL, AS_FORM, form())
    genuine = hooks.parse("POST", URL, {**AS_FORM, "X-SignalWire-Signature": FORM_SIGNATURE}, form())
    assert (unsigned.verified, genuine.verified, genuine.repeated) == (None, True, False)


# -- what else may come ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "url", "headers", "body", "status"),
    [
        ("PUT", "/", AS_JSON, JSON_BODY, 405),
        ("POST", "/", AS_JSON, b"x" * 101, 413),
        ("POST", "/" + "x" * 20_000, AS_JSON, JSON_BODY, 414),
        ("POST", "/", {"Content-Type": "multipart/form-data; boundary=x"}, b"--x", 415),
        ("POST", "http://[::", AS_JSON, JSON_BODY, 400),
        ("POST", "http://h:port/", AS_JSON, JSON_BODY, 400),
        ("POST", "/\ud800", AS_JSON, JSON_BODY, 400),
        ("POST", "/", AS_JSON, b"", 400),
        ("POST", "/", AS_JSON, b"{", 400),
        ("POST", "/", AS_JSON, b"[]", 400),
        ("POST", "/", AS_JSON, b'"\xff"', 400),
        ("POST", "/", AS_JSON, b'{"a":' * 15 + b"1" + b"}" * 14, 400),
        ("POST", "/", AS_FORM, b"", 400),
        ("POST", "/", AS_FORM, b"a=%ff", 400),
        ("POST", "/", AS_FORM, b"a=\xff", 400),
        ("POST", "/", {}, b"&&", 400),
        ("GET", "/", {}, b"", 400),
        ("GET", "/?event_type=calling.call.stream&params=%7B", {}, b"", 400),
    ],
)
def test_what_is_refused(method: str, url: str, headers: dict[str, str], body: bytes, status: int) -> None:
    with pytest.raises(WebhookRefused) as caught:
        Webhooks(max_body=100).parse(method, url, headers, body)
    assert caught.value.status == status


@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"a":' * 100_000, b'{"a":' * 70 + b"1" + b"}" * 70])
def test_bodies_that_are_nested_too_deeply(body: bytes) -> None:
    with pytest.raises(WebhookRefused, match="nested deeper than 64"):
        Webhooks().parse("POST", "/", AS_JSON, body)


def test_too_many_fields() -> None:
    with pytest.raises(WebhookRefused, match="more than 1000"):
        Webhooks().parse("POST", "/", AS_FORM, b"&".join([b"a=b"] * 1001))


@given(
    method=st.sampled_from(["GET", "POST", "HEAD"]),
    url=st.text(max_size=60) | st.text(max_size=60).map(lambda text: "https://h/?event_type=" + quote(text)),
    headers=st.dictionaries(
        st.sampled_from(["Content-Type", "Host", "X-SignalWire-Signature", "X-Forwarded-Host", "X-Forwarded-Proto"]),
        st.text(max_size=30) | st.sampled_from(["application/json", "application/x-www-form-urlencoded", "wss"]),
    ),
    body=st.binary(max_size=80)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    ).map(
        lambda value: json.dumps({"event_type": "calling.call.record", "params": value, "timestamp": value}).encode()
    ),
    strict=st.booleans(),
    public=st.booleans(),
)
def test_nothing_else_is_ever_raised(
    method: str, url: str, headers: dict[str, str], body: bytes, strict: bool, public: bool
) -> None:
    hooks = Webhooks(
        signing_key=KEY, strict=strict, trust_forwarded=not public, public_url="https://h/x" if public else None
    )
    try:
        seen = hooks.parse(method, url, headers, body)
    except WebhookRefused:
        return
    assert not strict
    repr(seen)


@pytest.mark.parametrize(
    ("options", "parameter"),
    [
        ({"signing_key": ""}, "signing_key"),
        ({"signing_key": [KEY, 7]}, "signing_key"),
        ({"signing_key": []}, "signing_key"),
        ({"signing_key": 7}, "signing_key"),
        ({"strict": True}, "strict"),
        ({"max_body": 0}, "max_body"),
        ({"public_url": "hooks.example.com"}, "public_url"),
        ({"public_url": "https://h/?a"}, "public_url"),
        ({"public_url": "https://h:x/"}, "public_url"),
        ({"public_url": b"https://h"}, "public_url"),
    ],
)
def test_options_that_cannot_be_right(options: Any, parameter: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIGNALWIRE_SIGNING_KEY", raising=False)
    with pytest.raises(InvalidParameter) as caught:
        Webhooks(**options)
    assert caught.value.parameter == parameter


@pytest.mark.parametrize(
    ("arguments", "parameter"),
    [
        ((7, "/", {}, b""), "method"),
        (("GET", b"/", {}, b""), "url"),
        (("GET", "/", 7, b""), "headers"),
        (("GET", "/", {"a": 7}, b""), "headers"),
        (("GET", "/", ["ab", 7], b""), "headers"),
        (("POST", "/", {}, "text"), "body"),
    ],
)
def test_arguments_of_wrong_types(arguments: Any, parameter: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        Webhooks().parse(*arguments)
    assert caught.value.parameter == parameter


def test_the_key_shows_nowhere() -> None:
    hooks = Webhooks(signing_key=KEY, strict=True)
    with pytest.raises(WebhookRefused) as caught:
        hooks.parse("POST", URL, {**AS_FORM, "X-SignalWire-Signature": "no"}, form())
    with pytest.raises(InvalidParameter) as also:
        Webhooks(signing_key=f" {KEY}")
    assert KEY not in repr(hooks) + str(caught.value) + str(also.value) + repr(also.value)


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_the_simulator_s_signed_webhooks(method: str) -> None:
    with Simulator(media="fast", signing_key=KEY) as sim, Receiver() as receiver, Hooks() as hooks, line(sim) as it:
        action = it.call.stream(receiver.url, name="n", status_url=hooks.url, status_url_method=method)
        requests = [hooks.raw.get(timeout=PATIENCE)]
        action.stop()
        action.wait(PATIENCE)
        requests.append(hooks.raw.get(timeout=PATIENCE))
        reader = Webhooks(signing_key=KEY, public_url=hooks.url.removesuffix("/status"), strict=True)
        seen = [reader.parse(*request) for request in requests]
    for callback, state in zip(seen, ["streaming", "finished"], strict=True):
        assert isinstance(callback, StreamStatus)
        assert (callback.state, callback.call_id, callback.control_id) == (state, it.call.call_id, action.control_id)
        assert callback.verified
        assert not callback.repeated
