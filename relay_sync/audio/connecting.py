"""Connect calls to an audio server as two-way streams."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol
from urllib.parse import urlsplit

from .. import devices
from ..errors import CallEnded, InvalidParameter, StreamFailed
from ..hosts.names import is_loopback
from ..params import values
from ..threads import logs
from .coders import check_available
from .gate import Expected, Gate
from .stream import AudioStream, StreamingAction

if TYPE_CHECKING:
    from typing import TypedDict, Unpack

    from ..constants import Codec

    class DeviceOptions(TypedDict, total=False):
        """Options that ``connect`` and ``device`` pass to :func:`relay_sync.devices.stream`.

        :ivar name: name of the stream.
        :ivar status_url: HTTP(S) URL that receives status callbacks for the stream.
        :ivar status_url_method: HTTP method for status callbacks, ``POST`` (the default) or ``GET``.
        :ivar extra: additional parameters that this SDK does not define.
        """

        name: str | None
        status_url: str | None
        status_url_method: Literal["GET", "POST"] | str | None
        extra: Mapping[str, Any] | None


__all__ = ["ConnectableCall", "Connecting", "check_options", "check_wanted_rate"]

_log = logs.get("relay_sync.audio").later
_ENDS = ("failed", "disconnected")


class ConnectableCall(Protocol):
    """Protocol for a call that can be connected to a stream device, such as :class:`relay_sync.Call`."""

    def connect(self, *args: Any, **kwargs: Any) -> Mapping[str, Any]:
        """Connect the call to the given devices. The reply is empty if the call no longer exists."""

    def disconnect(self) -> object:
        """Disconnect the call from the device and return control of the call to this client."""

    def on(self, event_type: str, handler: Any) -> object:
        """Register a handler for an event type, such as ``calling.call.connect``."""


class _Bridge:
    """Connection between a call and a stream device.

    The interface matches that of a streaming action, so the server can wait for both in the same way.
    """

    def __init__(self, call: ConnectableCall) -> None:
        self._call = call
        self._started = False
        self.error: BaseException | None = None
        call.on("calling.call.connect", self._moved)

    @property
    def is_done(self) -> bool:
        """Whether the connection has failed or ended. If so, no stream can start."""
        if getattr(self._call, "state", "") == "ended" and not isinstance(self.error, CallEnded):
            self.error = self._call_ended()  # replaces an error that the end of the call has caused
        return self.error is not None

    def open(self, device: devices.Device, options: Mapping[str, Any]) -> None:
        if not self._call.connect([[device]], **options):
            self.error = self._call_ended()

    def _call_ended(self) -> CallEnded:
        return CallEnded("the call has ended", end_reason=getattr(self._call, "end_reason", ""))

    def _moved(self, event: Any) -> None:
        state = getattr(event, "connect_state", "")
        if state not in _ENDS:
            self._started = True
        elif self._started and self.error is None:  # otherwise the event belongs to an earlier connection
            reason = getattr(event, "failed_reason", "")
            self.error = StreamFailed(f"calling.connect {state}" + (f" ({reason})" if reason else ""))

    def stop(self) -> object:
        return self._call.disconnect()


class Connecting:
    """Mixin for :class:`AudioServer` that connects calls to the server."""

    _gate: Gate

    @property
    def url(self) -> str:
        """The URL to which the platform connects. Starts the server."""
        raise NotImplementedError

    def _carrier_url(self, options: Mapping[str, Any]) -> str:
        """Return the URL for the platform.

        :param options: the options passed by the caller.
        :raises InvalidParameter: the platform could not connect to the URL, or ``options`` contain a value that the server sets.
        """
        for name in ("url", "authorization_bearer_token"):
            if name in options:
                raise InvalidParameter(name, options[name], f"no {name}: the server sets it", secret=True)
        url = self.url
        if url.startswith("ws:") and not is_loopback(urlsplit(url).hostname):
            raise InvalidParameter(
                "public_url",
                None,
                "a wss:// address that the platform can reach: ws:// is allowed only on this machine",
            )
        return url

    def _expect(self, expected: Expected, action: StreamingAction, timeout: float, codec: str) -> AudioStream:
        raise NotImplementedError

    def connect(
        self,
        call: ConnectableCall,
        *,
        codec: Codec | str = "PCMU",
        realtime: bool | None = None,
        timeout: float = 10.0,
        sample_rate: int | None = None,
        custom_parameters: Mapping[str, Any] | None = None,
        connect_options: Mapping[str, Any] | None = None,
        **device_options: Unpack[DeviceOptions],
    ) -> AudioStream:
        """Connect an answered call to this server as a two-way stream, and wait until the stream starts.

        The program can then receive audio from the remote party and play audio to it. A one-time token identifies the stream, as
        in :meth:`listen`. To end the connection and regain control of the call, close the stream, leave its ``with`` block, or
        call ``call.disconnect()``.

        :param call: an answered call.
        :param codec: ``PCMU``, ``PCMA``, ``L16`` or ``G722``, optionally with modifiers. ``OPUS`` is accepted too, although
            SignalWire documents it only for ``call.stream``. G722 and OPUS need the ``codecs`` extra.
        :param realtime: whether the platform plays audio with minimal delay. If so, audio sent in bursts is lost. By default, the
            platform plays all audio, even if it is late.
        :param timeout: maximum time to wait for the stream to start, in seconds, measured from the command.
        :param sample_rate: sample rate in Hz for frames and for PCM passed to ``play``. Defaults to the server's setting.
        :param custom_parameters: values to deliver in ``stream.custom_parameters``.
        :param connect_options: additional parameters of ``call.connect``, such as ``max_duration``.
        :param device_options: additional parameters of ``devices.stream``, such as ``name`` or ``status_url``.
        :return: the two-way stream.
        :raises StreamFailed: the platform did not connect or sent no ``start``, or the call has ended or could not be connected.
        :raises InvalidParameter: a parameter is invalid, or ``public_url`` is required but missing.
        :raises UnsupportedCodec: the codec is unknown or needs the ``codecs`` extra. No command was sent.
        :raises OSError: the server cannot start because its address is not available.
        :raises Forked: the server was started in the parent process.
        :raises RelayError: ``call.connect`` failed, for example because the command was refused.
        """
        _check_codec(codec)
        timeout = values.timeout(timeout, optional=False)
        check_call(call, "connect")
        check_options("AudioServer.connect", devices.stream, device_options)
        further = values.mapping("connect_options", connect_options) or {}
        check_wanted_rate(sample_rate)
        url = self._carrier_url(device_options)
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
        codec: Codec | str = "PCMU",
        realtime: bool | None = None,
        expires: float = 60.0,
        sample_rate: int | None = None,
        custom_parameters: Mapping[str, Any] | None = None,
        **device_options: Unpack[DeviceOptions],
    ) -> devices.Device:
        """Return a stream device that connects to this server, to pass to ``call.connect``.

        Use this method instead of :meth:`connect` to combine the server with other devices or with ``ringback``. The two-way
        stream is delivered by :meth:`accept` or to ``on_stream``.

        :param codec: codec of the stream, as for :meth:`connect`.
        :param realtime: whether the platform plays audio with minimal delay, as for :meth:`connect`.
        :param expires: lifetime of the device's one-time token in seconds. The token allows one connection.
        :param sample_rate: sample rate in Hz for frames and for PCM passed to ``play``. Defaults to the server's setting.
        :param custom_parameters: values to deliver in ``stream.custom_parameters``.
        :param device_options: additional parameters of ``devices.stream``, such as ``name`` or ``status_url``.
        :return: the device.
        :raises InvalidParameter: a parameter is invalid, or ``public_url`` is required but missing.
        :raises UnsupportedCodec: the codec is unknown or needs the ``codecs`` extra.
        :raises OSError: the server cannot start because its address is not available.
        :raises Forked: the server was started in the parent process.
        """
        _check_codec(codec)
        values.seconds("expires", expires)
        check_options("AudioServer.device", devices.stream, device_options)
        check_wanted_rate(sample_rate)
        url = self._carrier_url(device_options)
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
    """Check that a function accepts forwarded keyword arguments.

    :param what: name of the called method, for the error message.
    :param function: function that receives the options.
    :param options: keyword arguments to check.
    :raises TypeError: the function does not accept an option. The message matches Python's.
    """
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # the signature is not available
        return
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return
    for name in options:
        if name not in parameters:
            raise TypeError(f"{what}() got an unexpected keyword argument {name!r}")


def check_call(call: object, method: str) -> None:
    """Check that an argument is a call before sending a command.

    :raises InvalidParameter: the argument does not have the method.
    """
    if not callable(getattr(call, method, None)):
        raise InvalidParameter(
            "call", call, f"a call with a method {method}(), as returned by dial() or passed to on_call"
        )


def check_wanted_rate(rate: int | None) -> None:
    """Check a requested sample rate before sending a command.

    :raises InvalidParameter: the rate is invalid.
    :raises ImportError: the ``dsp`` extra is not installed.
    """
    if rate is not None:
        from .dsp import check_sample_rate

        check_sample_rate(rate)


def _check_codec(codec: object) -> None:
    """Check that a two-way stream's codec is available before sending a command.

    :raises UnsupportedCodec: the codec is unknown or needs the ``codecs`` extra.
    :raises InvalidParameter: the value is not a codec name.
    """
    if isinstance(codec, str):  # devices.stream() rejects other types
        values.refuse_misnamed_codec("codec", codec)
        check_available(codec)


def _take_back(bridge: _Bridge) -> None:
    try:
        if not bridge.is_done:
            bridge.stop()
    except Exception as error:
        _log.warning("could not disconnect the call from a stream that did not start: %s", error)
