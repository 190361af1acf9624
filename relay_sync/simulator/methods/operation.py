"""Base class and helpers for operations on a call, such as playbacks, recordings and collectors.

Most operations have a ``control_id``. All code in this module runs on the loop's thread unless noted otherwise.

The following behavior is not documented by SignalWire and may differ on the real platform:

* Starting an operation on a call that is not answered fails with code 409.
* A ``control_id`` must be unique among the running operations of the same type. A duplicate fails with code 409.
* A command to an unknown or finished operation fails with code 404.
* When a call ends, its running operations send their last events before the call does, unless ``finish_streams`` is off.
* A call can be in only one bridge or conference at a time. Joining a second one fails with code 409. SignalWire documents the
  reason "bridging busy" for this error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar, TypeVar

from attrs import define, field

from ...server.loop import Timer
from ..core import frames
from ..core.schemas import Findings
from ..core.world import World
from ..media.played import Played, part_of
from ..media.voice import Voice
from ..people.network import NetworkCall
from ..people.party import REACTION
from .request import CommandRequest, Handler, Platform
from .streaming import url_problem

__all__ = ["NetworkOperation", "control", "engaged", "launch", "running", "start", "stop"]


@define(eq=False)
class _Step:
    """A scheduled step of an operation.

    :ivar then: callback that executes the step.
    :ivar at_media_speed: whether the call's clock runs at media speed while the step is pending.
    :ivar length: duration of one simulated second, in seconds of the simulator's clock.
    :ivar timer: pending timer, or ``None`` while the step is paused.
    :ivar left: remaining time while the step is paused, in seconds of the simulator's clock.
    """

    then: Callable[[], object]
    at_media_speed: bool
    length: float
    timer: Timer | None = None
    left: float = 0.0


@define(eq=False, kw_only=True)
class NetworkOperation:
    """An operation, from its acknowledgment to its last event.

    :cvar event_type: type of the operation's events.
    :cvar failure: members of the last event if the operation fails.
    :cvar counts_as_running: whether :meth:`Phone.wait_until_idle` waits for the operation.
    :ivar over: whether the operation has ended. An operation that has ended sends no events.
    :ivar engaged_error: error message for bridge and conference commands while the operation is running; ``""`` allows them.
    """

    event_type: ClassVar[str] = ""
    failure: ClassVar[Mapping[str, Any]] = {"state": "error"}
    counts_as_running: ClassVar[bool] = True

    platform: Platform = field(repr=False)
    call: NetworkCall = field(repr=False)
    method: str = ""
    params: dict[str, Any] = field(repr=False)
    over: bool = field(default=False, init=False)
    engaged_error: str = field(default="", init=False)
    _timers: dict[str, _Step] = field(factory=dict, init=False, repr=False)
    # Items now playing to the party, by step, and whether the operation has already played the item before.
    _played: dict[str, tuple[Played, bool]] = field(factory=dict, init=False, repr=False)

    @property
    def world(self) -> World:
        """The shared state of the simulator."""
        return self.platform.world

    @property
    def control_id(self) -> str:
        """The control ID chosen by the client, or ``""`` if the method has none."""
        return str(self.params.get("control_id", ""))

    # -- methods to override --------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the operation. Called after the request has been acknowledged."""
        raise NotImplementedError

    def in_reply(self) -> dict[str, Any]:
        """Return additional members of the acknowledgment."""
        return {}

    def in_events(self) -> dict[str, Any]:
        """Return additional members of all events. An individual event may override them."""
        return {}

    def stop(self) -> None:
        """Stop the operation at the client's request."""
        self.finish()

    def finish(self, /, **members: Any) -> None:
        """End the operation and send its last event.

        :param members: members of the event; defaults to ``state="finished"``.
        """
        self.close(**(members or {"state": "finished"}))

    def break_down(self, details: Mapping[str, Any]) -> None:
        """Fail because of an injected fault.

        :param details: additional members of the last event.
        """
        self.close(**{**self.failure, **details})

    def call_ended(self) -> None:
        """End the operation because the call is ending."""
        if self.world.settings.finish_streams:
            self.finish()
        self.drop()

    def on_key(self, digit: str) -> None:
        """Handle a digit pressed by the party."""

    def on_words(self, text: str) -> None:
        """Handle speech from the party. An empty string is unintelligible speech."""

    def on_silence(self) -> None:
        """Handle silence. The party gives no further input, so timeouts waiting for input expire immediately."""

    # -- events ---------------------------------------------------------------------------------------------------------

    def send_event(self, /, **members: Any) -> None:
        """Send an event to the client that owns the call, and to the ``status_url`` if specified."""
        address = {"control_id": self.control_id} if self.control_id else {}
        params = {**self.call.address(), **address, **self.in_events(), **members}
        self.world.emit(self.call.owner, self.event_type, params)
        url = self.params.get("status_url")
        if isinstance(url, str) and url:
            settings = self.world.settings
            body = frames.envelope(
                self.event_type,
                params,
                event_channel=f"swml:{settings.space}",
                project_id=settings.project,
                space_id=settings.space,
            )
            self.world.webhooks.send(f"{self.call.call_id} {self.control_id}", url, "POST", body)

    def close(self, /, **members: Any) -> None:
        """Send the last event and end the operation. Do nothing if the operation has already ended."""
        if not self.over:
            self.cancel_steps()
            self.send_event(**members)
            self.drop()

    def cancel_steps(self) -> None:
        """Cancel all steps and mark the operation as ended, but keep it on the call until :meth:`drop`.

        This allows the last event to be sent before the operation is removed.
        """
        self.over = True
        for name in list(self._timers):
            self.cancel(name)

    def drop(self) -> None:
        """End the operation without sending an event."""
        self.cancel_steps()
        if self in self.call.operations:
            self.call.operations.remove(self)
        self.call.board.changed()

    def after(
        self, name: str, seconds: float, then: Callable[..., object], *args: Any, at_media_speed: bool = True
    ) -> None:
        """Schedule a step that takes a fixed time, such as playback.

        :param name: name of the step. A pending step with the same name is replaced.
        :param seconds: delay in simulated seconds.
        :param at_media_speed: whether the call's clock runs at media speed until then. See ``CallClock``.
        """
        self._set(name, seconds, self.world.pace.media(1.0), at_media_speed, partial(then, *args))

    def await_party(self, name: str, seconds: float, then: Callable[..., object], *args: Any) -> None:
        """Schedule a timeout for the party's input. It takes no real time if the party is silent."""
        if self.call.party.silent:
            self.after(name, seconds, then, *args)
        else:
            self.await_others(name, seconds, then, *args)

    def await_others(self, name: str, seconds: float, then: Callable[..., object], *args: Any) -> None:
        """Schedule a timeout whose length does not depend on whether the party is silent."""
        self._set(name, seconds, self.world.pace.timeout(1.0), False, partial(then, *args))

    def play_to_party(
        self, name: str, item: Played, then: Callable[[], object], *, at_media_speed: bool = True, again: bool = False
    ) -> None:
        """Play an item to the party, and then call ``then``.

        When playback ends, the item is recorded as heard by the party. If playback is interrupted, only the part already played
        is recorded.

        :param again: whether the operation has already played the item; if so, only its repeat count is incremented.
        """

        def heard() -> None:
            del self._played[name]
            self._sounded(item, item.duration)
            (self.call.party.heard.again if again else self.call.party.heard.add)(item)
            self.call.board.changed()
            then()
            self.platform.network.listened(self.call, item)

        self.after(name, item.duration, heard, at_media_speed=at_media_speed)
        self._played[name] = item, again
        self._sound(name)

    def hearing(self) -> list[Played]:
        """Return the items now playing to the party, cut at the current position. May be called from any thread."""
        playing = [(item, self.left(name)) for name, (item, again) in list(self._played.items()) if not again]
        return [part for item, left in playing if (part := part_of(item, item.duration - left)) is not None]

    def sounds(self) -> list[tuple[tuple[int, str], Voice, float]]:
        """Return the voices that are now audible. Each entry has a key, the voice, and the seconds already played."""
        voices = [(name, item, self.platform.sounds.voice(item)) for name, (item, _) in self._played.items()]
        return [
            ((id(self), name), voice, item.duration - self.left(name))
            for name, item, voice in voices
            if voice.pcm and self._timers[name].timer is not None
        ]

    def _sound(self, only: str = "") -> None:
        for key, voice, passed in self.sounds():
            for ear in self.call.ears if only in ("", key[1]) else ():
                ear.begin(key, voice, passed)

    def _sounded(self, item: Played, seconds: float) -> None:
        voice = self.platform.sounds.voice(item)
        for ear in self.call.ears if voice.pcm else ():
            ear.heard(voice, seconds)

    def _cut_off(self, name: str) -> None:
        if name in self._played:
            item, again = self._played[name]
            passed = item.duration - self.left(name)
            del self._played[name]
            for ear in self.call.ears:
                ear.end((id(self), name))
            self._sounded(item, passed)
            part = part_of(item, passed)
            if part is not None and not again:
                self.call.party.heard.add(part)
                self.call.board.changed()

    def _set(self, name: str, seconds: float, length: float, at_media_speed: bool, then: Callable[[], object]) -> None:
        self.cancel(name)
        self._timers[name] = _Step(then, at_media_speed, length)
        self._start(name, seconds * length)

    def _start(self, name: str, delay: float) -> None:
        step = self._timers[name]

        def due() -> None:
            step.timer = None
            del self._timers[name]
            try:
                step.then()
            finally:
                # Only after the next step has been scheduled, so that the call's clock stays at media speed.
                self._count_busy(step, -1)

        step.timer = self.world.clock.after(delay, due)
        self._count_busy(step, 1)

    def _count_busy(self, step: _Step, more: int) -> None:
        if step.at_media_speed:
            self.call.clock.busy(more)

    def pause_timers(self) -> None:
        """Pause all pending steps."""
        for name, step in self._timers.items():
            if step.timer is not None:
                for ear in self.call.ears:
                    ear.end((id(self), name))
                step.left = step.timer.when - self.world.clock.now
                step.timer.cancel()
                step.timer = None
                self._count_busy(step, -1)

    def resume_timers(self) -> None:
        """Resume all paused steps."""
        for name, step in self._timers.items():
            if step.timer is None:
                self._start(name, step.left)
        self._sound()

    def cancel(self, name: str) -> bool:
        """Cancel a step. Return whether it was pending."""
        self._cut_off(name)
        step = self._timers.pop(name, None)
        if step is None:
            return False
        if step.timer is not None:
            step.timer.cancel()
            self._count_busy(step, -1)
        return True

    def left(self, name: str) -> float:
        """Return the simulated seconds until a step is due, or 0 if it is not scheduled."""
        step = self._timers.get(name)
        if step is None:
            return 0.0
        timer = step.timer
        return (step.left if timer is None else timer.when - self.world.clock.now) / step.length

    def waits_for(self, name: str) -> bool:
        """Return whether a step is scheduled."""
        return name in self._timers

    def ask_party(self, *, keys: bool, words: bool) -> None:
        """Make the party respond with its next digits or sentence, if it has any."""
        party = self.call.party
        if keys and (party.shared_digits or party.presses):
            digits, party.shared_digits = party.shared_digits or party.presses.popleft(), ""
            self.after("reaction", REACTION, self.platform.network.press, self.call, digits)
        elif words and party.sentences:
            self.after("reaction", REACTION, self.platform.network.say, self.call, party.sentences.popleft())


_O = TypeVar("_O", bound=NetworkOperation)


def running(call: NetworkCall, kind: type[_O], control_id: str | None = None) -> _O | None:
    """Return the first running operation of a type, or ``None``.

    :param control_id: control ID of the operation; ``None`` matches any operation.
    """
    for each in call.operations:
        if isinstance(each, kind) and not each.over and control_id in (None, each.control_id):
            return each
    return None


def engaged(call: NetworkCall) -> str:
    """Return an error message if a call is already in a bridge or conference, or ``""`` otherwise."""
    found = next((each.engaged_error for each in call.operations if each.engaged_error), "")
    return found or ("Call is already in a bridge" if call.bridge is not None else "")


def launch(request: CommandRequest, operation: NetworkOperation) -> None:
    """Acknowledge a request and start its operation, or make the operation fail if a fault is injected."""
    request.accept(**operation.in_reply())
    operation.call.operations.append(operation)
    operation.call.board.changed()
    fault = request.fault
    if fault is not None and fault.kind == "break":
        operation.break_down(fault.data or {})
    else:
        operation.begin()


def start(
    kind: type[NetworkOperation],
    *,
    check: Callable[[Findings, Mapping[str, Any]], object] | None = None,
    only_one: str = "",
    if_free: bool = False,
) -> Handler:
    """Return a handler for a method that starts an operation.

    :param check: function that validates objects nested in the parameters.
    :param only_one: error message if a call may run only one operation of this type; ``""`` allows several.
    :param if_free: whether to refuse calls that are in a bridge or conference.
    """

    def handler(request: CommandRequest) -> None:
        call, params = request.call, request.params
        findings = request.findings()
        if check is not None:
            check(findings, params)
        if "status_url" in params:
            problem = url_problem("status_url", params["status_url"].partition("#")[0], ("http", "https"))
            if problem is not None:
                findings.impossible["status_url"] = problem
        if request.reject_if_invalid(findings):
            return
        if call.state != "answered":
            request.refuse(409, "Call is not answered")
        elif only_one and running(call, kind) is not None:
            request.refuse(409, only_one)
        elif if_free and engaged(call):
            request.refuse(409, engaged(call))
        elif running(call, kind, str(params.get("control_id", ""))) is not None:
            request.refuse(409, "An operation with this control_id is already active")
        else:
            launch(request, kind(platform=request.platform, call=call, method=request.spec.name, params=params))

    return handler


def control(kind: type[_O], act: Callable[[_O, CommandRequest], object]) -> Handler:
    """Return a handler for a method that controls a running operation.

    The handler ignores subclasses of ``kind``. For example, ``calling.play.stop`` does not stop a collector's prompt.

    :param act: function that replies to the request and performs the command.
    """

    def handler(request: CommandRequest) -> None:
        operation = running(request.call, kind, request.params.get("control_id"))
        if operation is None or type(operation) is not kind:
            request.refuse(404, f"{kind.__name__} not found")
            return
        act(operation, request)

    return handler


def stop(operation: NetworkOperation, request: CommandRequest) -> None:
    """Acknowledge a request and stop the operation. Use it with :func:`control`."""
    request.accept()
    operation.stop()
