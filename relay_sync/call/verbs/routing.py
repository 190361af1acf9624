"""Call methods that bridge, transfer and hold a call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...params import nested, values
from ...params.nested import Media
from .base import ADDRESS, Verbs

__all__ = ["RoutingVerbs"]


class RoutingVerbs(Verbs):
    """Methods that bridge, transfer and hold the call. They return ``{}`` if the call has already ended."""

    def connect(
        self,
        devices: Sequence[Sequence[Mapping[str, Any]]],
        *,
        ringback: Iterable[Media] | None = None,
        tag: str | None = None,
        max_duration: int | None = None,
        max_price_per_minute: float | None = None,
        send_digits: str | None = None,
        timeout: float | None = None,
        status_url: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Bridge the call to another party, or to a two-way audio stream (``calling.connect``).

        The platform reports progress with :class:`ConnectEvent`. The other leg also becomes one of this client's calls.

        :param devices: list of lists of devices (see :mod:`relay_sync.devices`). The inner lists are tried one after another. The
            devices in an inner list ring at the same time.
        :param ringback: items to play to the caller until the other party answers, in the same format as for :meth:`play`.
        :param tag: tag for the new legs.
        :param max_duration: maximum duration of the bridge, sent to the server unchanged. The platform's documentation is
            inconsistent about the unit (seconds or minutes).
        :param max_price_per_minute: maximum price per minute. Legs that cost more are not dialed.
        :param send_digits: DTMF digits to send when the other party answers, from ``0-9``, ``*``, ``#`` and ``A-D``. ``w`` pauses
            for 0.5 s and ``W`` for 1 s.
        :param timeout: maximum time to connect the call, in seconds.
        :param status_url: HTTP or HTTPS URL that receives status callbacks.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command. The code is 409 if the call is already being connected.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {
            "devices": nested.device_groups("devices", devices, nested.CONNECTED),
            "ringback": nested.media("ringback", ringback, optional=True),
            "tag": values.text("tag", tag),
            "max_duration": values.whole("max_duration", max_duration, low=0),
            "max_price_per_minute": values.number("max_price_per_minute", max_price_per_minute, low=0),
            "send_digits": values.dtmf("send_digits", send_digits, pauses=True),
            "timeout": values.number("timeout", timeout, above=0),
            "status_url": values.http_url("status_url", status_url),
        }
        return self._core.command("calling.connect", values.merge_extra(params, extra, ADDRESS))

    def disconnect(self, *, reason: str | None = None, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Disconnect the bridge that :meth:`connect` created (``calling.disconnect``). Both legs remain active.

        :param reason: reason, as free text.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {"reason": values.text("reason", reason)}
        return self._core.command("calling.disconnect", values.merge_extra(params, extra, ADDRESS))

    def refer(
        self, device: Mapping[str, Any], *, status_url: str | None = None, extra: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Transfer a SIP call with SIP REFER (``calling.refer``).

        The platform reports progress with :class:`ReferEvent`.

        :param device: SIP device to transfer to, created with ``devices.sip``.
        :param status_url: HTTP or HTTPS URL that receives status callbacks.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {
            "device": nested.refer_device("device", device),
            "status_url": values.http_url("status_url", status_url),
        }
        return self._core.command("calling.refer", values.merge_extra(params, extra, ADDRESS))

    def transfer(self, dest: str | Mapping[str, Any], *, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Transfer control of the call to another application (``calling.transfer``).

        This client may not receive further events for the call, so use a timeout when you wait for the call to end. The call no
        longer counts toward ``max_active_calls``, and the client does not hang it up when it drains or disconnects. The platform
        may offer the call to this client again as a new call.

        :param dest: destination: a URL, a SWML document as a string or a mapping, or ``context:<name>``.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {"dest": nested.destination("dest", dest)}
        return self._core.command("calling.transfer", values.merge_extra(params, extra, ADDRESS))

    def hold(self) -> dict[str, Any]:
        """Put the call on hold (``calling.hold``).

        The official SDKs have this method, but the current RELAY schema does not define the command.

        :return: the server's reply; ``{}`` if the call has already ended.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        return self._core.command("calling.hold")

    def unhold(self) -> dict[str, Any]:
        """Take the call off hold (``calling.unhold``).

        :return: the server's reply; ``{}`` if the call has already ended.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        return self._core.command("calling.unhold")
