"""Outbound calls: validate the parameters, dial, and wait for the first answer."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, overload

from .. import devices as device_kinds
from ..call.call import Call
from ..deadline import Deadline
from ..errors import (
    ClientClosed,
    CommandRefused,
    ConnectionLost,
    DialFailed,
    InvalidParameter,
    QueueFull,
    RequestTimeout,
)
from ..params import nested, values
from ..protocol.command import loosely
from ..protocol.ids import new_id
from ..threads import process
from .pending_dials import Dials, PendingDial, drop

if TYPE_CHECKING:
    from .link import Link
    from .router import Router

__all__ = ["Dialing", "patience_of"]

#: Default time limit of a dial, in seconds.
DIAL_PATIENCE: Final = 120.0
#: Seconds that the platform lets a device ring by default.
RING_PATIENCE: Final = 30.0


class Dialing:
    """The part of :class:`RelayClient` that places outbound calls."""

    if TYPE_CHECKING:
        _link: Link
        _router: Router

    @overload
    def dial(
        self,
        devices: Sequence[Sequence[Mapping[str, Any]]],
        *,
        tag: str | None = None,
        max_duration: int | None = None,
        dial_timeout: float | None = None,
        max_price_per_minute: float | None = None,
        send_digits: str | None = None,
        dest_swml: str | Mapping[str, Any] | None = None,
        region: str | None = None,
        timeout: float | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Call: ...

    @overload
    def dial(
        self,
        *,
        to: str,
        from_: str | None = None,
        ring_timeout: int | None = None,
        tag: str | None = None,
        max_duration: int | None = None,
        dial_timeout: float | None = None,
        max_price_per_minute: float | None = None,
        send_digits: str | None = None,
        dest_swml: str | Mapping[str, Any] | None = None,
        region: str | None = None,
        timeout: float | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Call: ...

    def dial(
        self,
        devices: Sequence[Sequence[Mapping[str, Any]]] | None = None,
        *,
        to: str | None = None,
        from_: str | None = None,
        ring_timeout: int | None = None,
        tag: str | None = None,
        max_duration: int | None = None,
        dial_timeout: float | None = None,
        max_price_per_minute: float | None = None,
        send_digits: str | None = None,
        dest_swml: str | Mapping[str, Any] | None = None,
        region: str | None = None,
        timeout: float | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Call:
        """Place an outbound call. Return the call that is answered first; block until then.

        ::

            call = client.dial(to="+15550100", from_="+15550199", ring_timeout=25)
            call = client.dial([[devices.phone("+15550100", "+15550199"), devices.sip("sip:desk@example.com")]])

        :param devices: groups of devices, see :mod:`relay_sync.devices`. The groups are tried one after the other; the devices in
            a group ring at the same time.
        :param to: a single phone number or ``sip:`` address to call, instead of *devices*.
        :param from_: the caller ID. Only with *to*.
        :param timeout: seconds for which the platform tries to reach the devices.
        :param ring_timeout: whole seconds to let it ring. Only with *to*. The platform's default is 30.
        :param tag: a label for this dial and its calls, different from the tags of other dials in progress. Default: a new ID.
        :param max_duration: the maximum duration of the call. Sent unchanged: the official SDK documents minutes, the vendor's
            draft specification seconds.
        :param dial_timeout: seconds for the whole dial. After that, the legs that still ring are hung up, and so is a late
            answer. Default: the time that the devices may ring (their ``timeout``, *ring_timeout* or *timeout*) plus
            ``request_timeout``, or 120 if none of these is given.
        :param max_price_per_minute: the highest price per minute; more expensive legs are not dialed.
        :param send_digits: DTMF digits to send when the call is answered.
        :param dest_swml: SWML that the answered call continues with, as text or as a mapping.
        :param region: the region from which the call leaves the platform.
        :param extra: additional parameters of ``calling.dial`` that this SDK does not support yet.
        :raises DialFailed: nothing was answered. ``reason`` is the server's (``noAnswer``, ``busy``, ...), or ``timeout``, also
            when :meth:`drain` ended the dial.
        :raises CommandRefused: the server refused to dial.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises RelayError: the session or the client was closed during the dial.
        """
        process.check_thread()
        groups = _groups(devices, to, from_, ring_timeout)
        name = values.text("tag", tag) or new_id()
        limit, why = values.timeout(dial_timeout, name="dial_timeout"), "dial_timeout"
        tries = values.number("timeout", timeout, above=0)
        if limit is None:
            ringing = patience_of(groups, tries)
            limit = DIAL_PATIENCE if ringing is None else ringing + self._link.request_timeout()
            why = why if ringing is None else "the devices' ring time plus request_timeout"
        params = {
            "tag": name,
            "devices": groups,
            "max_duration": values.whole("max_duration", max_duration, low=0),
            "max_price_per_minute": values.number("max_price_per_minute", max_price_per_minute, low=0),
            "send_digits": values.dtmf("send_digits", send_digits, pauses=True),
            "dest_swml": _swml(dest_swml),
            "region": values.text("region", region),
            "timeout": tries,
        }
        params = values.merge_extra(params, extra, ())
        if min(limit, self._link.request_timeout()) <= 0:
            raise DialFailed("the dial was not sent: the timeout had already expired", reason="timeout")
        return self._dial(name, params, limit, why)

    def _dial(self, tag: str, params: Mapping[str, Any], limit: float, why: str) -> Call:
        end = time.monotonic() + limit
        router = self._router
        # Connect first: if that fails, the tag must stay available.
        self._link.usable_loop(Deadline.after(time.monotonic(), min(limit, self._link.request_timeout())))
        dial = PendingDial(tag, sum(map(len, params["devices"])))
        try:
            router.dials.enter(dial)
            try:
                self._link.command(
                    "calling.dial",
                    params,
                    on_reply=loosely(Dials.taken, router.dials, dial),
                    made=lambda command: setattr(dial, "command", command),
                    timeout=min(limit, self._link.request_timeout()),
                )
            except RequestTimeout:
                if dial.session is None:
                    raise
            return dial.wait(end - time.monotonic(), limit, why)
        except (CommandRefused, ClientClosed, QueueFull, InvalidParameter):
            if dial.given_up is None:  # a canceled dial stays open, so that its legs are hung up once they are reported
                router.dials.close(dial)
            raise
        except ConnectionLost as error:
            if error.sent:
                router.dials.give_up(dial, router)
            else:
                router.dials.close(dial)
            raise
        except (DialFailed, RequestTimeout):
            if dial.given_up is not None:
                raise  # canceled already
            # The answer may have arrived at the last moment.
            winner = router.dials.give_up(dial, router)
            if winner is not None:
                return winner
            raise
        except BaseException:
            if dial.command is None:  # nothing was or will be sent
                router.dials.close(dial)
                raise
            winner = router.dials.give_up(dial, router)
            if winner is not None:
                drop(winner, router)
            raise
        finally:
            router.changed.ring()


def patience_of(groups: Sequence[Sequence[Mapping[str, Any]]], timeout: float | None) -> float | None:
    """Return the seconds that devices, tried group by group, may ring according to their timeouts.

    :param timeout: the timeout of devices that do not specify one.
    :return: ``None`` if no timeout was given.
    """
    each = [[_rings_for(device["params"], timeout) for device in group] for group in groups]
    known = [time for group in each for time in group if time is not None]
    if not known:
        return None
    total = sum(max(RING_PATIENCE if time is None else time for time in group) for group in each)
    return total if len(known) == sum(map(len, each)) else max(total, DIAL_PATIENCE)


def _rings_for(params: Mapping[str, Any], timeout: float | None) -> float | None:
    rings, confirms = _told(params.get("timeout")) or timeout, _told(params.get("confirm_timeout"))
    if params.get("confirm") is None:
        return rings
    # The callee must also confirm before the call counts as answered.
    return rings + confirms if rings is not None and confirms is not None else None


def _told(value: object) -> float | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
        return values.timeout(value)  # no upper limit: the platform has its own
    return None


def _groups(devices: Any, to: Any, from_: Any, ring_timeout: Any) -> list[list[dict[str, Any]]]:
    if to is None:
        for name, value in (("from_", from_), ("ring_timeout", ring_timeout)):
            if value is not None:
                raise InvalidParameter(name, value, "None without to=; put it in the device definition instead")
        return nested.device_groups("devices", devices, nested.CALLED)
    if devices is not None:
        raise InvalidParameter("to", to, "None when devices are given")
    number = values.party("to", to, optional=False) or ""
    kind = device_kinds.sip if number.lower().startswith(("sip:", "sips:")) else device_kinds.phone
    return [[kind(number, from_, timeout=ring_timeout)]]


def _swml(value: Any) -> Any:
    plain = value is None or isinstance(value, str)
    return values.text("dest_swml", value) if plain else values.json_object("dest_swml", value)
