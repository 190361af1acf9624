"""Sequential and parallel dialing: groups of devices are tried in sequence, and the devices in each group in parallel.

All code in this module runs on the loop's thread. The following behavior is not documented by SignalWire and may differ on the
real platform:

* A leg starts ringing 0.1 seconds after it is created. It rings for its device's ``timeout``, which defaults to 30 seconds.
* A busy leg fails after 0.5 seconds without ringing. An unreachable leg fails immediately with ``notFound``.
* When a leg is answered, all other legs end with ``cancel``.
* A group fails when all of its legs have failed. If the last group fails, the dial fails for the same reason as its last failed
  leg.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import define, field

from ...server.loop import Timer
from ..core.session import ServerSession
from ..core.world import World
from ..people.network import NetworkCall
from ..people.party import Behavior, Party
from ..people.phone import Phone
from .request import Platform

__all__ = ["Attempt", "Hunt", "Leg"]

RING_TIMEOUT = 30.0
SET_UP = 0.1
BUSY_AFTER = 0.5

# Parameters that contain the callee's and the caller's address, by device type.
ADDRESSES = {"phone": ("to_number", "from_number"), "sip": ("to", "from"), "fabric": ("to", "from")}


@define(eq=False, kw_only=True)
class Attempt:
    """An attempt to reach a device.

    The hunt calls :meth:`begin`. The attempt then calls either :meth:`answered` or :meth:`failed`, exactly once.
    """

    platform: Platform = field(repr=False)
    hunt: Hunt = field(init=False, repr=False)

    @property
    def world(self) -> World:
        """The shared state of the simulator."""
        return self.platform.world

    def begin(self) -> None:
        """Start the attempt."""
        raise NotImplementedError

    def abandon(self) -> None:
        """Cancel the attempt because another device answered first or the hunt was canceled."""
        raise NotImplementedError

    def answered(self) -> None:
        """Report to the hunt that the device answered."""
        self.hunt.answered(self)

    def failed(self, reason: str) -> None:
        """Report to the hunt that the device did not answer."""
        self.hunt.failed(self, reason)


@define(eq=False, kw_only=True)
class Leg(Attempt):
    """An attempt to reach a phone. Each leg is a separate call."""

    device: Mapping[str, Any]
    owner: ServerSession | None = field(repr=False)
    tag: str = ""
    context: str = ""
    from_: str = ""
    parent: dict[str, Any] | None = None
    timeout: float | None = None
    max_duration: int | None = None
    call: NetworkCall = field(init=False)
    _over: bool = field(default=False, init=False)
    _timers: list[Timer] = field(factory=list, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        params = self.device["params"]
        where, whence = ADDRESSES[self.device["type"]]
        shown = {whence: params.get(whence) or self.from_, where: params[where]}
        if params.get("headers"):
            shown["headers"] = params["headers"]
        self.call = NetworkCall(
            node_id=self.world.settings.node,
            device={"type": self.device["type"], "params": shown},
            context=self.context,
            direction="outbound",
            tag=self.tag,
            owner=self.owner,
            project=self.owner.project if self.owner is not None else "",
            parent=self.parent,
        )

    def begin(self) -> None:
        world, network, directory = self.world, self.platform.network, self.platform.directory
        call, params = self.call, self.device["params"]
        expected = directory.take(str(params[ADDRESSES[self.device["type"]][0]]))
        plan = expected.behavior if expected is not None else Behavior()
        call.party, call.says = Party(plan), plan.voice
        call.watchers.append(self._moved)
        directory.rings(expected, Phone(world, network, call))
        network.place(call)
        if self._over:
            return
        if plan.refuses in ("busy", "notFound"):
            self._later(BUSY_AFTER if plan.refuses == "busy" else 0.0, self._end, plan.refuses)
            return
        self._later(SET_UP, network.ringing, call)
        patience = params.get("timeout") or self.timeout or RING_TIMEOUT
        if plan.answers_after is None:
            self._timers.append(world.clock.after(world.pace.timeout(patience), self._end, "noAnswer"))
        else:
            self._later(SET_UP + patience, self._end, "noAnswer")
            if plan.refuses == "decline":
                self._later(SET_UP + plan.answers_after, self._end, "decline")
            elif not plan.refuses:
                self._later(SET_UP + plan.answers_after, self.pick_up)

    def _later(self, seconds: float, then: Callable[..., object], *args: Any) -> None:
        self._timers.append(self.world.clock.after(self.world.pace.media(seconds), then, *args))

    def pick_up(self) -> None:
        """Answer the call on behalf of the callee."""
        self.platform.network.pick_up(self.call, self.max_duration)

    def _end(self, reason: str) -> None:
        self.platform.network.end(self.call, reason, self.call.far_side)

    def _moved(self, call: NetworkCall) -> None:
        """Report the attempt's result when the call is answered or ends."""
        if self._over or call.state not in ("answered", "ended"):
            return
        self._finish()
        if call.state == "answered":
            self.answered()
        else:
            self.failed(call.end_reason)

    def _finish(self) -> None:
        self._over = True
        for timer in self._timers:
            timer.cancel()

    def abandon(self) -> None:
        self._finish()
        self.platform.network.end(self.call, "cancel", self.call.near_side)


@define(eq=False)
class Hunt:
    """Tries groups of devices until one device answers.

    :ivar won: callback for success, called with the answered attempt.
    :ivar lost: callback for failure, called with the reason when no device has answered.
    """

    groups: Sequence[Sequence[Attempt]]
    won: Callable[[Attempt], None] = field(repr=False)
    lost: Callable[[str], None] = field(repr=False)
    over: bool = field(default=False, init=False)
    _trying: list[Attempt] = field(factory=list, init=False)
    _waiting: list[Attempt] = field(factory=list, init=False)  # attempts of the current group that have not started
    _next: int = field(default=0, init=False)

    def begin(self) -> None:
        """Start with the first group."""
        self._try("notFound")

    def _try(self, reason: str) -> None:
        while self._next < len(self.groups):
            self._trying, self._waiting = [], list(self.groups[self._next])
            self._next += 1
            if not self._waiting:
                continue
            for attempt in self._waiting:
                attempt.hunt = self
            while self._waiting and not self.over:  # stop if an attempt is answered immediately
                self._trying.append(self._waiting.pop(0))
                self._trying[-1].begin()
            return
        self.over = True
        self.lost(reason)

    def answered(self, attempt: Attempt) -> None:
        """End the hunt successfully and cancel the other attempts."""
        if self.over:
            attempt.abandon()
            return
        self.over = True
        others = [each for each in self._trying if each is not attempt]
        self.won(attempt)
        for each in others:
            each.abandon()

    def failed(self, attempt: Attempt, reason: str) -> None:
        """Handle a failed attempt. If it was the last in its group, try the next group."""
        if self.over or attempt not in self._trying:
            return
        self._trying.remove(attempt)
        if not self._trying and not self._waiting:
            self._try(reason)

    def abandon(self) -> None:
        """Cancel the hunt and all of its attempts."""
        if not self.over:
            self.over = True
            for each in list(self._trying):
                each.abandon()
