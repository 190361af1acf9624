"""Who can be called or connected to: dictionaries in the wire's form, built from typed parameters.

For ``RelayClient.dial`` and ``Call.connect``, which take lists of lists: the outer list is tried one after the other, the
inner ones ring at the same time::

    client.dial([[devices.phone(to="+15550100", from_="+15550199", timeout=20)], [devices.sip("sip:desk@example.com")]])
    call.connect([[devices.stream("wss://audio.example.com/two-way", realtime=True)]])

Wire: ``devices`` of ``calling.dial`` and ``calling.connect``. Members that are left out take the platform's defaults.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from . import checks
from .errors import InvalidParameter

__all__ = ["Device", "call", "fabric", "phone", "queue", "sip", "stream"]

#: ``{"type": ..., "params": {...}}``
Device = dict[str, Any]

_STATES: Final = ("created", "ringing", "answered", "ended")
_CODECS: Final = ("PCMU", "PCMA", "OPUS", "G729", "G722", "AMR-WB", "VP8", "H264")

CallState = Literal["created", "ringing", "answered", "ended"]
SipCodec = Literal["PCMU", "PCMA", "OPUS", "G729", "G722", "AMR-WB", "VP8", "H264"]


def _device(kind: str, params: Mapping[str, Any], extra: Mapping[str, Any] | None) -> Device:
    found = {name: value for name, value in params.items() if value is not None}
    for name, value in (checks.mapping("extra", extra) or {}).items():
        if name in params:
            raise InvalidParameter("extra", name, f"without {name!r}: give that one by its own keyword")
        found[name] = value
    return {"type": kind, "params": found}


def _confirm(value: Any) -> Any:
    """What the one who picks up has to go through first: the URL of a document, or a list of steps."""
    if value is None or isinstance(value, list):
        return value
    return checks.http_url("confirm", value)


def _progress(
    timeout: int | None,
    confirm: str | list[Any] | None,
    confirm_timeout: int | None,
    call_state_url: str | None,
    call_state_events: Iterable[CallState | str] | None,
) -> dict[str, Any]:
    """What all devices that ring have in common."""
    return {
        "timeout": checks.whole("timeout", timeout, low=0),
        "confirm": _confirm(confirm),
        "confirm_timeout": checks.whole("confirm_timeout", confirm_timeout, low=0),
        "call_state_url": checks.http_url("call_state_url", call_state_url),
        "call_state_events": checks.choices("call_state_events", call_state_events, _STATES),
    }


def phone(
    to: str,
    from_: str | None = None,
    *,
    timeout: int | None = None,
    confirm: str | list[Any] | None = None,
    confirm_timeout: int | None = None,
    call_state_url: str | None = None,
    call_state_events: Iterable[CallState | str] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Device:
    """A telephone number.

    :param to: the number to call, E.164. :param from_: the caller's number.
    :param timeout: whole seconds to let it ring; the platform's default is 30.
    :param confirm: URL of a document, or steps, that whoever picks up goes through before he is connected.
    :param confirm_timeout: whole seconds for that.
    :param call_state_url: http(s) URL that is told of the states in ``call_state_events``.
    :param extra: parameters that this SDK does not know yet.
    :raises InvalidParameter: a value that cannot be right, such as a number with blanks, dashes or brackets in it. The unseen
        marks of a copied number are left out.
    """
    params = {
        "to_number": checks.phone_number("to", to, optional=False),
        "from_number": checks.phone_number("from_", from_),
        **_progress(timeout, confirm, confirm_timeout, call_state_url, call_state_events),
    }
    return _device("phone", params, extra)


def fabric(
    to: str,
    from_: str | None = None,
    *,
    timeout: int | None = None,
    confirm: str | list[Any] | None = None,
    confirm_timeout: int | None = None,
    call_state_url: str | None = None,
    call_state_events: Iterable[CallState | str] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Device:
    """A resource of the Call Fabric, by its address. Parameters as those of :func:`phone`."""
    params = {
        "to": checks.address("to", to, optional=False),
        "from": checks.address("from_", from_),
        **_progress(timeout, confirm, confirm_timeout, call_state_url, call_state_events),
    }
    return _device("fabric", params, extra)


def _headers(value: Any) -> list[dict[str, str]] | None:
    """SIP headers: a mapping, or the wire's list of ``{"name", "value"}``."""
    if value is None:
        return None
    accepted = "a mapping of texts, or a list of {'name': ..., 'value': ...}"
    if isinstance(value, Mapping):
        pairs: list[Any] = [{"name": name, "value": text} for name, text in value.items()]
    elif isinstance(value, (list, tuple)):
        pairs = list(value)
    else:
        raise InvalidParameter("headers", value, accepted)
    for pair in pairs:
        good = isinstance(pair, Mapping) and all(isinstance(pair.get(name), str) for name in ("name", "value"))
        if not good or any(mark in pair["name"] + pair["value"] for mark in "\r\n"):
            raise InvalidParameter("headers", value, accepted)
    return [dict(pair) for pair in pairs]


def sip(
    to: str,
    from_: str | None = None,
    *,
    from_name: str | None = None,
    timeout: int | None = None,
    headers: Mapping[str, str] | Iterable[Mapping[str, str]] | None = None,
    codecs: Iterable[SipCodec | str] | None = None,
    encryption: Literal["forbidden", "mandatory", "optional"] | str | None = None,
    webrtc_media: bool | None = None,
    username: str | None = None,
    password: str | None = None,
    session_timeout: int | None = None,
    confirm: str | list[Any] | None = None,
    confirm_timeout: int | None = None,
    call_state_url: str | None = None,
    call_state_events: Iterable[CallState | str] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Device:
    """A SIP address.

    :param to: ``sip:user@host``. :param from_: and :param from_name: who calls.
    :param headers: SIP headers by name, or a list of ``{"name", "value"}`` where one name comes twice.
    :param codecs: in order of preference. :param encryption: of the media. :param webrtc_media: media as WebRTC wants it.
    :param username: and :param password: the credentials that the far side asks for.
    :param session_timeout: whole seconds of the SIP session timer. The other parameters are those of :func:`phone`.
    """
    params = {
        "to": checks.sip_address("to", to, optional=False),
        "from": checks.party("from_", from_),
        "from_name": checks.text("from_name", from_name),
        "headers": _headers(headers),
        "codecs": checks.codec_choices("codecs", codecs, _CODECS),
        "encryption": checks.choice("encryption", encryption, ("forbidden", "mandatory", "optional")),
        "webrtc_media": checks.flag("webrtc_media", webrtc_media),
        "username": checks.text("username", username),
        "password": _secret("password", password),
        "session_timeout": checks.whole("session_timeout", session_timeout, low=0),
        **_progress(timeout, confirm, confirm_timeout, call_state_url, call_state_events),
    }
    return _device("sip", params, extra)


def _secret(name: str, value: Any) -> str | None:
    if value is not None and (not isinstance(value, str) or not value):
        raise InvalidParameter(name, value, "non-empty text or None", secret=True)
    return value


def call(call_id: str, node_id: str, *, extra: Mapping[str, Any] | None = None) -> Device:
    """A call that exists: ``devices.call(other.call_id, other.node_id)``. Only for ``connect``."""
    params = {
        "call_id": checks.text("call_id", call_id, optional=False),
        "node_id": checks.text("node_id", node_id, optional=False),
    }
    return _device("call", params, extra)


def queue(
    queue_name: str,
    node_id: str,
    *,
    queue_id: str | None = None,
    execute_after_queue: str | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Device:
    """Whoever waits longest in a queue. Only for ``connect``.

    :param node_id: the node of the queue. :param execute_after_queue: what that call goes on with afterwards.
    """
    params = {
        "queue_name": checks.text("queue_name", queue_name, optional=False),
        "node_id": checks.text("node_id", node_id, optional=False),
        "queue_id": checks.text("queue_id", queue_id),
        "execute_after_queue": checks.text("execute_after_queue", execute_after_queue),
    }
    return _device("queue", params, extra)


def stream(
    url: str,
    *,
    name: str | None = None,
    codec: str | None = None,
    realtime: bool | None = None,
    status_url: str | None = None,
    status_url_method: Literal["GET", "POST"] | str | None = None,
    authorization_bearer_token: str | None = None,
    custom_parameters: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Device:
    """A WebSocket that hears the call *and* speaks into it. Only for ``connect``.

    A one-way copy of the audio is ``Call.stream``.

    :param url: absolute ``wss://host[:port]/path``; ``ws://`` only for loopback.
    :param name: a label. :param codec: as that of ``Call.stream``; the default is ``PCMU``.
    :param realtime: play what arrives at once, without a buffer.
    :param status_url: and :param status_url_method: http(s) URL that is told of the stream's states.
    :param authorization_bearer_token: the bare token. :param custom_parameters: JSON for the ``start`` message.

    Wire: STREAM, "Neighbours".
    """
    params = {
        "url": checks.stream_url(url),
        "name": checks.text("name", name),
        "codec": checks.codec(codec),
        "realtime": checks.flag("realtime", realtime),
        "status_url": checks.http_url("status_url", status_url),
        "status_url_method": checks.choice("status_url_method", status_url_method, ("GET", "POST")),
        "authorization_bearer_token": checks.bearer_token(authorization_bearer_token),
        "custom_parameters": checks.mapping("custom_parameters", custom_parameters),
    }
    return _device("stream", params, extra)
