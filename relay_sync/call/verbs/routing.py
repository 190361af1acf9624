"""Where the call goes: bridges, transfers, hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...params import nested, values
from ...params.nested import Media
from .base import ADDRESS, Verbs

__all__ = ["RoutingVerbs"]


class RoutingVerbs(Verbs):
    """Verbs that bring the call together with others. On a call that has ended they do nothing and return ``{}``."""

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
        """Bridge the call to somebody else, or to a two-way audio stream (``calling.connect``).

        Progress comes as :class:`ConnectEvent`; the other leg becomes a call of the client too.

        :param devices: lists of lists, see :mod:`relay_sync.devices`: the outer list one after the other, inner ones at the
            same time. :param ringback: what the caller hears meanwhile, as for ``play``.
        :param tag: a label for the new legs. :param max_duration: of the bridge; passes as it is: sources disagree on the unit.
        :param max_price_per_minute: dearer legs are not dialled. :param send_digits: keys pressed when it is answered.
        :param timeout: seconds that the platform tries. :param status_url: http(s) URL that is told of the states.
        :param extra: parameters that this SDK does not know yet.
        :raises InvalidParameter: a value that cannot be right. :raises CommandRefused: the server said no, with 409 for a
            call that is being connected already.
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
        """Break the bridge that :meth:`connect` made; both legs live on (``calling.disconnect``).

        :param reason: in words.
        """
        params = {"reason": values.text("reason", reason)}
        return self._core.command("calling.disconnect", values.merge_extra(params, extra, ADDRESS))

    def refer(
        self, device: Mapping[str, Any], *, status_url: str | None = None, extra: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Send a SIP call elsewhere by SIP REFER (``calling.refer``); progress comes as :class:`ReferEvent`.

        :param device: a SIP device, as ``devices.sip`` builds it. :param status_url: http(s) URL that is told of the states.
        """
        params = {
            "device": nested.refer_device("device", device),
            "status_url": values.http_url("status_url", status_url),
        }
        return self._core.command("calling.refer", values.merge_extra(params, extra, ADDRESS))

    def transfer(self, dest: str | Mapping[str, Any], *, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Hand the call over to another application (``calling.transfer``).

        Its events may stop here, so give waits for its end a timeout. It does not count among ``max_active_calls`` any more,
        and is not hung up when this client drains or disconnects. It may be offered to this client again, as a new call.

        :param dest: a URL, a SWML document as text or object, or ``context:<name>``.
        """
        params = {"dest": nested.destination("dest", dest)}
        return self._core.command("calling.transfer", values.merge_extra(params, extra, ADDRESS))

    def hold(self) -> dict[str, Any]:
        """Put the call on hold (``calling.hold``). In the official SDKs; the vendor's newest description lacks it."""
        return self._core.command("calling.hold")

    def unhold(self) -> dict[str, Any]:
        """Take the call off hold (``calling.unhold``)."""
        return self._core.command("calling.unhold")
