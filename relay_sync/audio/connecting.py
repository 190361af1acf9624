"""Two-way streams: connecting a call to a stream device that leads to this server."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from .. import devices
from ..errors import CallEnded, InvalidParameter, StreamFailed
from ..params import values
from ..threads import logs
from .coders import check_available
from .gate import Expected, Gate
from .stream import AudioStream, StreamingAction

__all__ = ["ConnectableCall", "Connecting", "check_options", "check_wanted_rate"]

_log = logs.get("relay_sync.audio").later
_ENDS = ("failed", "disconnected")


class ConnectableCall(Protocol):
    """A call that can be connected to a stream device, such as :class:`relay_sync.Call`."""

    def connect(self, *args: Any, **kwargs: Any) -> Mapping[str, Any]:
        """``connect([[device]])``; an empty reply if the call no longer exists."""

    def disconnect(self) -> object:
        """Return control of the call to this client."""

    def on(self, event_type: str, handler: Any) -> object:
        """``on("calling.call.connect", handler)``: the result of the connection."""


class _Bridge:
    """The connection of a call to a device, with the face of a streaming action while its socket is waited for."""

    def __init__(self, call: ConnectableCall) -> None:
        self._call = call
        self._begun = False
        self.error: BaseException | None = None
        call.on("calling.call.connect", self._moved)

    @property
    def is_done(self) -> bool:
        """Whether the carrier will not connect anymore."""
        if getattr(self._call, "state", "") == "ended" and not isinstance(self.error, CallEnded):
            self.error = self._call_ended()  # and whatever became of the connection became of it by that
        return self.error is not None

    def open(self, device: devices.Device, options: Mapping[str, Any]) -> None:
        if not self._call.connect([[device]], **options):
            self.error = self._call_ended()

    def _call_ended(self) -> CallEnded:
        return CallEnded("the call has ended", end_reason=getattr(self._call, "end_reason", ""))

    def _moved(self, event: Any) -> None:
        state = getattr(event, "connect_state", "")
        if state not in _ENDS:
            self._begun = True
        elif self._begun and self.error is None:  # else it concerns an earlier connection of the call
            reason = getattr(event, "failed_reason", "")
            self.error = StreamFailed(f"calling.connect {state}" + (f" ({reason})" if reason else ""))

    def stop(self) -> object:
        return self._call.disconnect()


class Connecting:
    """The part of :class:`~relay_sync.audio.AudioServer` that connects calls to the server."""

    _gate: Gate

    def _way_here(self, options: Mapping[str, Any]) -> str:
        raise NotImplementedError

    def _expect(self, expected: Expected, action: StreamingAction, timeout: float, codec: str) -> AudioStream:
        raise NotImplementedError

    def connect(
        self,
        call: ConnectableCall,
        *,
        codec: str = "PCMU",
        realtime: bool | None = None,
        timeout: float = 10.0,
        sample_rate: int | None = None,
        custom_parameters: Mapping[str, Any] | None = None,
        connect_options: Mapping[str, Any] | None = None,
        **device_options: Any,
    ) -> AudioStream:
        """Connect an answered call to a two-way stream to this server, and wait until it starts. Your code can then hear and
        speak to the remote party.

        A one-time token identifies the stream, as for :meth:`listen`. Closing the stream, leaving its ``with`` block, or
        ``call.disconnect()`` ends the connection and returns control of the call.

        :param call: an answered call.
        :param codec: ``PCMU``, ``PCMA``, ``L16`` or ``G722``, with modifiers; these are documented for stream devices. ``OPUS``
            is documented for ``call.stream`` only, but accepted. G722 and OPUS need the extra ``codecs``.
        :param realtime: have the carrier play audio with as little delay as possible; audio sent in bursts is then lost. By
            default the carrier plays all of it, even if late.
        :param timeout: seconds to wait for the first message of the stream, counted from the command.
        :param sample_rate: sample rate in Hz of the frames and of the PCM passed to ``play``; by default the server's.
        :param custom_parameters: your values, delivered in ``stream.custom_parameters``.
        :param connect_options: additional parameters for ``call.connect``, such as ``max_duration``.
        :param device_options: further parameters of ``devices.stream``, such as ``name`` or ``status_url``.
        :return: the two-way stream.
        :raises StreamFailed: the carrier did not connect or sent no ``start``, the call has ended, or it could not be connected.
        :raises InvalidParameter: a parameter is invalid, or ``public_url`` is missing and the carrier could not reach this
            server.
        :raises UnsupportedCodec: the codec is unknown or needs the extra ``codecs``; nothing was sent.
        :raises OSError: starting the server failed: its address is not available.
        :raises Forked: the server was started in the parent process.
        :raises RelayError: ``call.connect`` failed, for example because the command was refused.
        """
        _check_spoken(codec)
        timeout = values.timeout(timeout, optional=False)
        check_call(call, "connect")
        check_options("AudioServer.connect", devices.stream, device_options)
        further = values.mapping("connect_options", connect_options) or {}
        check_wanted_rate(sample_rate)
        url = self._way_here(device_options)
        with self._gate.expecting(two_way=True, realtime=bool(realtime), sample_rate=sample_rate) as (token, expected):
            device = devices.stream(
                url,
                codec=codec,
                realtime=realtime,
                authorization_bearer_token=token,
                custom_parameters=custom_parameters,
                **device_options,
            )
            bridge = _Bridge(call)
            bridge.open(device, further)
            try:
                return self._expect(expected, bridge, timeout, codec)
            except BaseException:
                _take_back(bridge)
                raise

    def device(
        self,
        *,
        codec: str = "PCMU",
        realtime: bool | None = None,
        expires: float = 60.0,
        sample_rate: int | None = None,
        custom_parameters: Mapping[str, Any] | None = None,
        **device_options: Any,
    ) -> devices.Device:
        """Return a stream device that leads to this server, for your own ``call.connect``: as one of several devices, or with
        ``ringback``. The two-way stream is delivered by :meth:`accept` or to ``on_stream``.

        :param codec: as for :meth:`connect`.
        :param realtime: as for :meth:`connect`.
        :param expires: seconds for which the device's one-time token is valid, for one connection.
        :param sample_rate: sample rate in Hz of the frames and of the PCM passed to ``play``; by default the server's.
        :param custom_parameters: your values, delivered in ``stream.custom_parameters``.
        :param device_options: further parameters of ``devices.stream``, such as ``name`` or ``status_url``.
        :return: the device.
        :raises InvalidParameter: a parameter is invalid, or ``public_url`` is missing.
        :raises UnsupportedCodec: the codec is unknown or needs the extra ``codecs``.
        :raises OSError: starting the server failed: its address is not available.
        :raises Forked: the server was started in the parent process.
        """
        _check_spoken(codec)
        values.seconds("expires", expires)
        check_options("AudioServer.device", devices.stream, device_options)
        check_wanted_rate(sample_rate)
        url = self._way_here(device_options)
        token, expected = self._gate.expect(expires, two_way=True, awaited=False, sample_rate=sample_rate)
        try:
            return devices.stream(
                url,
                codec=codec,
                realtime=realtime,
                authorization_bearer_token=token,
                custom_parameters=custom_parameters,
                **device_options,
            )
        except BaseException:
            self._gate.forget(expected)
            raise


def check_options(what: str, function: Callable[..., object], options: Mapping[str, Any]) -> None:
    """Check that *function* accepts the options that are passed on to it.

    :raises TypeError: as raised by Python, but naming *what*, the method that was called.
    """
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # it does not tell
        return
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return
    for name in options:
        if name not in parameters:
            raise TypeError(f"{what}() got an unexpected keyword argument {name!r}")


def check_call(call: object, method: str) -> None:
    """Check before anything is sent that *call* is a call.

    :raises InvalidParameter: it has no such method.
    """
    if not callable(getattr(call, method, None)):
        raise InvalidParameter("call", call, f"a call, such as on_call() and dial() give: it has no {method}()")


def check_wanted_rate(rate: int | None) -> None:
    """Check before anything is sent that frames can have this sample rate.

    :raises InvalidParameter: the rate is invalid.
    :raises ImportError: the extra ``dsp`` is not installed.
    """
    if rate is not None:
        from .dsp import check_sample_rate

        check_sample_rate(rate)


def _check_spoken(codec: object) -> None:
    """Check before anything is sent that the codec can be encoded here, as a two-way stream requires.

    :raises UnsupportedCodec: it cannot.
    :raises InvalidParameter: it is not a codec.
    """
    if isinstance(codec, str):  # else it is complained of where the device is made
        values.refuse_misnamed_codec("codec", codec)
        check_available(codec)


def _take_back(bridge: _Bridge) -> None:
    try:
        if not bridge.is_done:
            bridge.stop()
    except Exception as error:
        _log.warning("disconnecting the call from a stream that did not start failed: %s", error)
