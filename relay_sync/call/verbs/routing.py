"""Bridge, transfer and hold calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...params import nested, values
from ...params.nested import Media
from .base import ADDRESS, Verbs

__all__ = ["RoutingVerbs"]


class RoutingVerbs(Verbs):
    """Verbs that connect the call with other parties. On a call that has ended they do nothing and return ``{}``."""

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

        Progress arrives as :class:`ConnectEvent`; the other leg becomes a call of the client, too.

        :param devices: a list of lists of devices (see :mod:`relay_sync.devices`): the inner lists are tried in turn, and the
            devices of one inner list ring at the same time.
        :param ringback: items to play to the caller until the other party answers, in the format of ``play``.
        :param tag: label for the new legs.
        :param max_duration: maximum length of the bridge, sent unchanged; the vendor documents the unit (seconds or minutes)
            inconsistently.
        :param max_price_per_minute: highest price per minute of a leg; more expensive legs are not dialed.
        :param send_digits: DTMF digits to send when the other party answers: ``0-9``, ``*``, ``#``, ``A-D``, ``w`` (0.5 s pause),
            ``W`` (1 s pause).
        :param timeout: seconds that the platform tries to connect the call.
        :param status_url: http(s) URL that the platform notifies of state changes.
        :param extra: additional wire parameters that this SDK does not define.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command; code 409 if the call is already being connected.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
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
        """Disconnect the bridge that :meth:`connect` made (``calling.disconnect``). Both legs stay up.

        :param reason: a reason, as free text.
        :param extra: additional wire parameters that this SDK does not define.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {"reason": values.text("reason", reason)}
        return self._core.command("calling.disconnect", values.merge_extra(params, extra, ADDRESS))

    def refer(
        self, device: Mapping[str, Any], *, status_url: str | None = None, extra: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Transfer a SIP call with SIP REFER (``calling.refer``). Progress arrives as :class:`ReferEvent`.

        :param device: the SIP device to transfer to, as built by ``devices.sip``.
        :param status_url: http(s) URL that the platform notifies of state changes.
        :param extra: additional wire parameters that this SDK does not define.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {
            "device": nested.refer_device("device", device),
            "status_url": values.http_url("status_url", status_url),
        }
        return self._core.command("calling.refer", values.merge_extra(params, extra, ADDRESS))

    def transfer(self, dest: str | Mapping[str, Any], *, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Transfer control of the call to another application (``calling.transfer``).

        Events of the call may stop arriving, so pass a timeout when you wait for its end. The call no longer counts toward
        ``max_active_calls`` and is not hung up when this client drains or disconnects. The platform may offer it to this client
        again, as a new call.

        :param dest: a URL, a SWML document as text or as a mapping, or ``context:<name>``.
        :param extra: additional wire parameters that this SDK does not define.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {"dest": nested.destination("dest", dest)}
        return self._core.command("calling.transfer", values.merge_extra(params, extra, ADDRESS))

    def hold(self) -> dict[str, Any]:
        """Put the call on hold (``calling.hold``). The official SDKs have this method; the vendor's newest schema does not.

        :return: the server's reply; ``{}`` if the call has already ended.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        return self._core.command("calling.hold")

    def unhold(self) -> dict[str, Any]:
        """Take the call off hold (``calling.unhold``).

        :return: the server's reply; ``{}`` if the call has already ended.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        return self._core.command("calling.unhold")
