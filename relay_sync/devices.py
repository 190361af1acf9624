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

from .errors import InvalidParameter
from .params import nested, values

__all__ = ["Device", "call", "fabric", "phone", "queue", "sip", "stream"]

#: ``{"type": ..., "params": {...}}``
Device = dict[str, Any]

CallState = Literal["created", "ringing", "answered", "ended"]
SipCodec = Literal["PCMU", "PCMA", "OPUS", "G729", "G722", "AMR-WB", "VP8", "H264"]


#: What this module calls what the wire calls otherwise.
_ARGUMENTS: Final = {"to_number": "to", "from_number": "from_", "from": "from_"}


def _device(kind: str, params: Mapping[str, Any], extra: Mapping[str, Any] | None) -> Device:
    """:param params: by the wire's names."""
    found = {name: check(_ARGUMENTS.get(name, name), params[name]) for name, check in nested.DEVICES[kind].items()}
    for name, value in (values.json_object("extra", extra) or {}).items():
        if name in params:
            raise InvalidParameter("extra", name, f"no {name!r}: pass it as its own parameter")
        found[name] = value
    return {"type": kind, "params": {name: value for name, value in found.items() if value is not None}}


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
        "to_number": to,
        "from_number": from_,
        "timeout": timeout,
        "confirm": confirm,
        "confirm_timeout": confirm_timeout,
        "call_state_url": call_state_url,
        "call_state_events": call_state_events,
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
        "to": to,
        "from": from_,
        "timeout": timeout,
        "confirm": confirm,
        "confirm_timeout": confirm_timeout,
        "call_state_url": call_state_url,
        "call_state_events": call_state_events,
    }
    return _device("fabric", params, extra)


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
        "to": to,
        "from": from_,
        "from_name": from_name,
        "headers": headers,
        "codecs": codecs,
        "encryption": encryption,
        "webrtc_media": webrtc_media,
        "username": username,
        "password": password,
        "session_timeout": session_timeout,
        "timeout": timeout,
        "confirm": confirm,
        "confirm_timeout": confirm_timeout,
        "call_state_url": call_state_url,
        "call_state_events": call_state_events,
    }
    return _device("sip", params, extra)


def call(call_id: str, node_id: str, *, extra: Mapping[str, Any] | None = None) -> Device:
    """A call that exists: ``devices.call(other.call_id, other.node_id)``. Only for ``connect``."""
    params = {
        "call_id": call_id,
        "node_id": node_id,
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
        "queue_name": queue_name,
        "node_id": node_id,
        "queue_id": queue_id,
        "execute_after_queue": execute_after_queue,
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
    :param name: a label. :param codec: ``PCMU`` (the default), ``PCMA``, ``OPUS``, ``L16`` or ``G722``, with modifiers as
        those of ``Call.stream``.
    :param realtime: play what arrives at once, without a buffer.
    :param status_url: and :param status_url_method: http(s) URL that is told of the stream's states.
    :param authorization_bearer_token: the bare token. :param custom_parameters: JSON for the ``start`` message.

    Wire: STREAM, "Neighbours".
    """
    params = {
        "url": url,
        "name": name,
        "codec": codec,
        "realtime": realtime,
        "status_url": status_url,
        "status_url_method": status_url_method,
        "authorization_bearer_token": authorization_bearer_token,
        "custom_parameters": custom_parameters,
    }
    return _device("stream", params, extra)
