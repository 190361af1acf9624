"""Outbound calls: what is to be dialed, and waiting for whoever answers first."""

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

#: Seconds that a dial may take in all, where nothing else is said.
DIAL_PATIENCE: Final = 120.0
#: Seconds for which the platform lets a device ring, where nothing else is said.
RING_PATIENCE: Final = 30.0


class Dialing:
    """The part of :class:`RelayClient` that calls others."""

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
        """Call somebody, and return the call that was answered first.

        ::

            call = client.dial(to="+15550100", from_="+15550199", ring_timeout=25)
            call = client.dial([[devices.phone("+15550100", "+15550199"), devices.sip("sip:desk@example.com")]])

        :param devices: lists of lists, see :mod:`relay_sync.devices`: the outer list is tried one after the other, what is
            in an inner one rings at the same time.
        :param to: instead of that a number, or a ``sip:`` address. :param from_: who calls. :param ring_timeout: whole
            seconds to let it ring; the platform's default is 30.
        :param tag: a label of your own for this dial, on its calls; no other dial may use it meanwhile.
        :param max_duration: of the call; passes as it is: the official SDK says minutes, the vendor's draft description
            seconds. :param max_price_per_minute: dearer legs are not dialed.
        :param send_digits: keys pressed when it is answered. :param dest_swml: what the call then goes on with.
        :param region: where the call leaves the platform. :param timeout: seconds that the platform tries.
        :param dial_timeout: seconds for all of this. Left out, it follows from the time that the devices may ring (their
            ``timeout``, ``ring_timeout`` or ``timeout``) plus ``request_timeout``; it is 120 if none of these is given. After
            that, what still rings is hung up, and who answers late as well.
        :param extra: parameters that this SDK does not know yet.
        :raises DialFailed: nobody answered; ``reason`` is the server's (``noAnswer``, ``busy``, ...), or ``timeout``: also where
            :meth:`drain` had no more time for it.
        :raises CommandRefused: the server does not take the dial on. :raises InvalidParameter: nothing was sent.
        :raises RelayError: the session or the client ended meanwhile.
        """
        process.check_thread()
        groups = _groups(devices, to, from_, ring_timeout)
        name = values.text("tag", tag) or new_id()
        limit, why = values.timeout(dial_timeout, name="dial_timeout"), "dial_timeout"
        tries = values.number("timeout", timeout, above=0)
        if limit is None:
            ringing = patience_of(groups, tries)
            limit = DIAL_PATIENCE if ringing is None else ringing + self._link.request_timeout()
            why = why if ringing is None else "the time that the devices may ring, and request_timeout"
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
            raise DialFailed("no time was left for the dial, and nothing was sent", reason="timeout")
        return self._dial(name, params, limit, why)

    def _dial(self, tag: str, params: Mapping[str, Any], limit: float, why: str) -> Call:
        end = time.monotonic() + limit
        router = self._router
        # First: where there is no connection to be had, the tag was never used.
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
            if dial.given_up is None:  # else it was called off, and its legs are hung up as they turn up
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
                raise  # it was called off
            # Somebody may have answered at the very last moment.
            winner = router.dials.give_up(dial, router)
            if winner is not None:
                return winner
            raise
        except BaseException:
            if dial.command is None:  # nothing was sent, nor will be
                router.dials.close(dial)
                raise
            winner = router.dials.give_up(dial, router)
            if winner is not None:
                drop(winner, router)
            raise
        finally:
            router.changed.ring()


def patience_of(groups: Sequence[Sequence[Mapping[str, Any]]], timeout: float | None) -> float | None:
    """Seconds after which devices that are tried group by group have rung out, by what the caller has said of them.

    :param timeout: what holds for devices that have none of their own.
    :return: ``None`` if nothing was said.
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
    # Whoever picks up is not connected before he has confirmed.
    return rings + confirms if rings is not None and confirms is not None else None


def _told(value: object) -> float | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
        return values.timeout(value)  # of any size: the platform sets its own limits
    return None


def _groups(devices: Any, to: Any, from_: Any, ring_timeout: Any) -> list[list[dict[str, Any]]]:
    if to is None:
        for name, value in (("from_", from_), ("ring_timeout", ring_timeout)):
            if value is not None:
                raise InvalidParameter(name, value, "given together with to=; otherwise it belongs into the devices")
        return nested.device_groups("devices", devices, nested.CALLED)
    if devices is not None:
        raise InvalidParameter("to", to, "left out where devices are given")
    number = values.party("to", to, optional=False) or ""
    kind = device_kinds.sip if number.lower().startswith(("sip:", "sips:")) else device_kinds.phone
    return [[kind(number, from_, timeout=ring_timeout)]]


def _swml(value: Any) -> Any:
    plain = value is None or isinstance(value, str)
    return values.text("dest_swml", value) if plain else values.json_object("dest_swml", value)
