"""Functions that create devices for dialing and connecting calls.

A device is a dictionary in the format of the RELAY protocol. ``RelayClient.dial`` and ``Call.connect`` accept a list of lists of
devices. The inner lists are tried in order, and the devices in an inner list ring at the same time::

    client.dial([[devices.phone(to="+15550100", from_="+15550199", timeout=20)], [devices.sip("sip:desk@example.com")]])
    call.connect([[devices.stream("wss://audio.example.com/two-way", realtime=True)]])

The result is sent as ``devices`` in ``calling.dial`` and ``calling.connect``. The platform supplies defaults for omitted
parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from .constants import Codec, SipCodec
from .errors import InvalidParameter
from .params import nested, values

__all__ = ["Device", "call", "fabric", "phone", "queue", "sip", "stream"]

#: ``{"type": ..., "params": {...}}``
Device = dict[str, Any]

CallbackState = Literal["created", "ringing", "answered", "ended"]


#: Parameter names of the functions in this module that differ from the names in the protocol.
_ARGUMENTS: Final = {"to_number": "to", "from_number": "from_", "from": "from_"}


def _device(kind: str, params: Mapping[str, Any], extra: Mapping[str, Any] | None) -> Device:
    """Validate the parameters and create the device.

    :param kind: type of the device.
    :param params: parameters, with their names in the protocol.
    :param extra: additional device parameters, which are not validated.
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
    """Return a device for a telephone number.

    Invisible characters in a copied number are removed. Spaces, dashes and parentheses are rejected.

    :param to: telephone number to call: ``+`` followed by digits, as in E.164, or a string of digits, ``*`` and ``#``. Only this
        format is checked.
    :param from_: caller ID to show, a telephone number in the same format.
    :param timeout: ring timeout in whole seconds. The platform defaults to 30.
    :param confirm: document to execute for the callee before the call is connected, as an HTTP or HTTPS URL or a list of steps.
    :param confirm_timeout: time for the callee to confirm, in whole seconds.
    :param call_state_url: HTTP or HTTPS URL that receives status callbacks for the states in ``call_state_events``.
    :param call_state_events: call states to report, a list of ``created``, ``ringing``, ``answered`` and ``ended``.
    :param extra: additional device parameters, for options that this function does not support.
    :raises InvalidParameter: a value is invalid.
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
    """Return a device for a Call Fabric resource.

    :param to: address to call, such as ``/public/desk``.
    :param from_: caller ID to show, a Call Fabric address.
    :param timeout: ring timeout in whole seconds. The platform defaults to 30.
    :param confirm: document to execute for the callee before the call is connected, as an HTTP or HTTPS URL or a list of steps.
    :param confirm_timeout: time for the callee to confirm, in whole seconds.
    :param call_state_url: HTTP or HTTPS URL that receives status callbacks for the states in ``call_state_events``.
    :param call_state_events: call states to report, a list of ``created``, ``ringing``, ``answered`` and ``ended``.
    :param extra: additional device parameters, for options that this function does not support.
    :raises InvalidParameter: a value is invalid.
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
    """Return a device for a SIP address.

    :param to: address to call: ``sip:user@host``.
    :param from_: caller ID to show, a telephone number or SIP address.
    :param from_name: caller name to show.
    :param timeout: ring timeout in whole seconds. The platform defaults to 30.
    :param headers: SIP headers as a mapping, or a list of ``{"name": ..., "value": ...}`` if a name occurs more than once.
    :param codecs: codecs in order of preference: ``PCMU``, ``PCMA``, ``OPUS``, ``G729``, ``G722``, ``AMR-WB``, ``VP8``, ``H264``.
    :param encryption: encryption of the media: ``forbidden``, ``mandatory`` or ``optional``.
    :param webrtc_media: whether to send media in WebRTC format.
    :param username: user name for the SIP server.
    :param password: password for the SIP server.
    :param session_timeout: interval of the SIP session timer, in whole seconds.
    :param confirm: document to execute for the callee before the call is connected, as an HTTP or HTTPS URL or a list of steps.
    :param confirm_timeout: time for the callee to confirm, in whole seconds.
    :param call_state_url: HTTP or HTTPS URL that receives status callbacks for the states in ``call_state_events``.
    :param call_state_events: call states to report, a list of ``created``, ``ringing``, ``answered`` and ``ended``.
    :param extra: additional device parameters, for options that this function does not support.
    :raises InvalidParameter: a value is invalid.
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
    """Return a device for an existing call. Only for ``connect``.

    For example, ``devices.call(other.call_id, other.node_id)`` connects a call to the call ``other``.

    :param call_id: ID of the call.
    :param node_id: ID of the node that handles the call.
    :param extra: additional device parameters, for options that this function does not support.
    :raises InvalidParameter: a value is invalid.
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
    """Return a device for the call that has waited longest in a queue. Only for ``connect``.

    :param queue_name: name of the queue.
    :param node_id: ID of the node that handles the queue.
    :param queue_id: ID of the queue, if known.
    :param execute_after_queue: document that the dequeued call executes afterward.
    :param extra: additional device parameters, for options that this function does not support.
    :raises InvalidParameter: a value is invalid.
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
    codec: Codec | str | None = None,
    realtime: bool | None = None,
    status_url: str | None = None,
    status_url_method: Literal["GET", "POST"] | str | None = None,
    authorization_bearer_token: str | None = None,
    custom_parameters: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Device:
    """Return a device for a WebSocket server that receives a call's audio and sends audio to the call. Only for ``connect``.

    To only receive audio, use ``Call.stream``.

    :param url: absolute URL, such as ``wss://host[:port]/path``. ``ws://`` is only accepted for loopback.
    :param name: name of the stream.
    :param codec: ``PCMU`` (the default), ``PCMA``, ``OPUS``, ``L16`` or ``G722``, optionally with ``@<hz>h`` and ``@<ms>i``, as
        in ``L16@16000h@40i``.
    :param realtime: whether to play received audio immediately, without buffering.
    :param status_url: HTTP or HTTPS URL that receives status callbacks for the stream.
    :param status_url_method: HTTP method of the status callbacks, ``POST`` (the default) or ``GET``.
    :param authorization_bearer_token: token to send as ``Authorization: Bearer ...`` in the upgrade request.
    :param custom_parameters: JSON object to send to the receiver in the ``start`` message.
    :param extra: additional device parameters, for options that this function does not support.
    :raises InvalidParameter: a value is invalid.
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
