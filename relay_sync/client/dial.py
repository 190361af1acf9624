"""Place outbound calls: validate the parameters, dial, and wait for the first answer."""

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

#: Default timeout of a dial, in seconds.
DIAL_PATIENCE: Final = 120.0
#: The platform's default ring timeout for a device, in seconds.
RING_PATIENCE: Final = 30.0


class Dialing:
    """Methods of :class:`RelayClient` that place outbound calls."""

    if TYPE_CHECKING:
        _link: Link
        _router: Router

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
        """Place an outbound call, and wait until it is answered.

        ::

            call = client.dial(to="+15550100", from_="+15550199", ring_timeout=25)
            call = client.dial([[devices.phone("+15550100", "+15550199"), devices.sip("sip:desk@example.com")]])

        :param devices: groups of devices; see :mod:`relay_sync.devices`. The platform tries the groups one after another. All
            devices in a group ring at the same time.
        :param to: phone number or ``sip:`` address to call, instead of ``devices``.
        :param from_: caller ID. Only allowed with ``to``.
        :param timeout: how long the platform tries to reach the devices, in seconds.
        :param ring_timeout: time to let the phone ring, in whole seconds. Only allowed with ``to``. The platform's default is 30.
        :param tag: label for this dial and its calls, which must differ from the tags of other dials in progress. Defaults to a
            new ID.
        :param max_duration: maximum duration of the call, sent to the server unchanged. The platform's documentation is
            inconsistent about the unit (seconds or minutes).
        :param dial_timeout: timeout for the whole dial, in seconds. When it expires, the client hangs up all legs, including legs
            that are answered later. Defaults to the devices' ring time (their ``timeout``, ``ring_timeout`` or ``timeout``) plus
            ``request_timeout``, or to 120 if no ring time is given.
        :param max_price_per_minute: maximum price per minute. The platform does not dial legs that are more expensive.
        :param send_digits: DTMF digits to send after the call is answered.
        :param dest_swml: SWML document to run after the call is answered, as a string or a mapping.
        :param region: region from which the platform places the call.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the call that was answered first.
        :raises DialFailed: no device answered. ``reason`` is the server's reason, such as ``noAnswer`` or ``busy``. It is
            ``timeout`` after ``dial_timeout`` or if :meth:`drain` ended the dial.
        :raises CommandRefused: the server rejected the dial.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
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
        # Connect before registering the dial. If connecting fails, the tag stays available.
        self._link.usable_loop(Deadline.after(time.monotonic(), min(limit, self._link.request_timeout())))
        dial = PendingDial(tag, sum(map(len, params["devices"])))
        try:
            router.dials.enter(dial)
            router.counters.count("calls_dialed")
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
            if dial.given_up is None:  # keep a canceled dial, so that its legs are hung up when they are reported
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
                raise  # the dial was already canceled
            # A leg may have been answered just now.
            winner = router.dials.give_up(dial, router)
            if winner is not None:
                return winner
            raise
        except BaseException:
            if dial.command is None:  # nothing was sent
                router.dials.close(dial)
                raise
            winner = router.dials.give_up(dial, router)
            if winner is not None:
                drop(winner, router)
            raise
        finally:
            router.changed.ring()


def patience_of(groups: Sequence[Sequence[Mapping[str, Any]]], timeout: float | None) -> float | None:
    """Return how long groups of devices may ring in total, in seconds.

    :param groups: groups of devices, which are tried one after another.
    :param timeout: timeout for devices without their own.
    :return: the time, or ``None`` if no timeouts are given.
    """
    each = [[_rings_for(device["params"], timeout) for device in group] for group in groups]
    known = [time for group in each for time in group if time is not None]
    if not known:
        return None
    total = sum(max(RING_PATIENCE if time is None else time for time in group) for group in each)
    return total if len(known) == sum(map(len, each)) else max(total, DIAL_PATIENCE)


def _rings_for(params: Mapping[str, Any], timeout: float | None) -> float | None:
    rings, confirms = _positive(params.get("timeout")) or timeout, _positive(params.get("confirm_timeout"))
    if params.get("confirm") is None:
        return rings
    # The callee must also confirm the call before it counts as answered.
    return rings + confirms if rings is not None and confirms is not None else None


def _positive(value: object) -> float | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
        return values.timeout(value)  # not limited here, because the platform has a limit
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
