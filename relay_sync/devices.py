"""Devices that can be dialed or connected to: dictionaries in the wire's form, built from typed parameters.

``RelayClient.dial`` and ``Call.connect`` accept a list of lists: the inner lists are tried in turn, and the devices of one
inner list ring at the same time::

    client.dial([[devices.phone(to="+15550100", from_="+15550199", timeout=20)], [devices.sip("sip:desk@example.com")]])
    call.connect([[devices.stream("wss://audio.example.com/two-way", realtime=True)]])

Wire: ``devices`` of ``calling.dial`` and ``calling.connect``. Omitted members have the platform's defaults.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from .errors import InvalidParameter
from .params import nested, values

__all__ = ["Device", "call", "fabric", "phone", "queue", "sip", "stream"]

#: ``{"type": ..., "params": {...}}``
Device = dict[str, Any]

CallbackState = Literal["created", "ringing", "answered", "ended"]
SipCodec = Literal["PCMU", "PCMA", "OPUS", "G729", "G722", "AMR-WB", "VP8", "H264"]


#: The parameters of this module whose wire names differ.
_ARGUMENTS: Final = {"to_number": "to", "from_number": "from_", "from": "from_"}


def _device(kind: str, params: Mapping[str, Any], extra: Mapping[str, Any] | None) -> Device:
    """Check the parameters and build the device.

    :param params: the parameters by their wire names.
    """
    found = {name: check(_ARGUMENTS.get(name, name), params[name]) for name, check in nested.DEVICES[kind].items()}
    for name, value in (values.json_object("extra", extra) or {}).items():
        if name in params:
            raise InvalidParameter("extra", name, f"a mapping without {name!r}: pass that as its own parameter")
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
    call_state_events: Iterable[CallbackState | str] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Device:
    """A telephone number.

    Invisible characters in a copied number are removed; spaces, dashes and brackets are rejected.

    :param to: the number to call, in E.164 format.
    :param from_: the number to show as the caller's.
    :param timeout: whole seconds to let the device ring; the platform's default is 30.
    :param confirm: http(s) URL of a document, or a list of steps, that the callee goes through before being connected.
    :param confirm_timeout: whole seconds that the callee has to confirm.
    :param call_state_url: http(s) URL that the platform notifies of the call states in ``call_state_events``.
    :param call_state_events: the call states to report: a list of ``created``, ``ringing``, ``answered`` and ``ended``.
    :param extra: additional wire parameters that this SDK does not define.
    :raises InvalidParameter: a value is invalid; nothing was sent.
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
    call_state_events: Iterable[CallbackState | str] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Device:
    """A Call Fabric resource, by its address.

    :param to: the address to call, such as ``/public/desk``.
    :param from_: the address to show as the caller's.
    :param timeout: whole seconds to let the device ring; the platform's default is 30.
    :param confirm: http(s) URL of a document, or a list of steps, that the callee goes through before being connected.
    :param confirm_timeout: whole seconds that the callee has to confirm.
    :param call_state_url: http(s) URL that the platform notifies of the call states in ``call_state_events``.
    :param call_state_events: the call states to report: a list of ``created``, ``ringing``, ``answered`` and ``ended``.
    :param extra: additional wire parameters that this SDK does not define.
    :raises InvalidParameter: a value is invalid; nothing was sent.
    """
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
    call_state_events: Iterable[CallbackState | str] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Device:
    """A SIP address.

    :param to: the address to call: ``sip:user@host``.
    :param from_: the telephone number or SIP address to show as the caller's.
    :param from_name: the name to show as the caller's.
    :param timeout: whole seconds to let the device ring; the platform's default is 30.
    :param headers: SIP headers as a mapping, or a list of ``{"name": ..., "value": ...}`` if a name occurs more than once.
    :param codecs: codecs in order of preference: ``PCMU``, ``PCMA``, ``OPUS``, ``G729``, ``G722``, ``AMR-WB``, ``VP8``, ``H264``.
    :param encryption: encryption of the media: ``forbidden``, ``mandatory`` or ``optional``.
    :param webrtc_media: whether to send media in WebRTC format.
    :param username: user name for authentication at the SIP server.
    :param password: password for authentication at the SIP server.
    :param session_timeout: whole seconds of the SIP session timer.
    :param confirm: http(s) URL of a document, or a list of steps, that the callee goes through before being connected.
    :param confirm_timeout: whole seconds that the callee has to confirm.
    :param call_state_url: http(s) URL that the platform notifies of the call states in ``call_state_events``.
    :param call_state_events: the call states to report: a list of ``created``, ``ringing``, ``answered`` and ``ended``.
    :param extra: additional wire parameters that this SDK does not define.
    :raises InvalidParameter: a value is invalid; nothing was sent.
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
    """An existing call: ``devices.call(other.call_id, other.node_id)``. Only for ``connect``.

    :param call_id: id of the call.
    :param node_id: the platform's node that handles the call.
    :param extra: additional wire parameters that this SDK does not define.
    :raises InvalidParameter: a value is invalid; nothing was sent.
    """
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
    """The call that has waited longest in a queue. Only for ``connect``.

    :param queue_name: name of the queue.
    :param node_id: the platform's node that handles the queue.
    :param queue_id: id of the queue, if known.
    :param execute_after_queue: what the dequeued call continues with afterward.
    :param extra: additional wire parameters that this SDK does not define.
    :raises InvalidParameter: a value is invalid; nothing was sent.
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
    """A WebSocket that receives the call's audio *and* sends audio to it. Only for ``connect``.

    ``Call.stream`` sends a one-way copy of the audio.

    :param url: absolute ``wss://host[:port]/path``; ``ws://`` only for loopback.
    :param name: label of the stream.
    :param codec: ``PCMU`` (the default), ``PCMA``, ``OPUS``, ``L16`` or ``G722``, optionally with ``@<hz>h`` and ``@<ms>i``, as
        in ``L16@16000h@40i``.
    :param realtime: whether to play received audio at once, without a buffer.
    :param status_url: http(s) URL that the platform notifies of the stream's states.
    :param status_url_method: HTTP method of these notifications: ``POST`` (the default) or ``GET``.
    :param authorization_bearer_token: bare token, sent as ``Authorization: Bearer ...`` in the upgrade request.
    :param custom_parameters: JSON object that the receiver gets in the ``start`` message.
    :param extra: additional wire parameters that this SDK does not define.
    :raises InvalidParameter: a value is invalid; nothing was sent.
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
