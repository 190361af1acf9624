"""The test's hand on a simulated telephone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import define, field

from ...errors import CallEnded, CommandRefused, InvalidParameter, WaitTimeout
from ..core import given
from ..core.journal import Entry, Reader
from ..core.names import check_activity, check_method
from ..core.noticeboard import seconds_to_wait
from ..core.world import World
from ..media.played import Played
from ..media.stream import Stream
from ..media.two_way import TwoWayStream
from .heard import PlayedSoFar
from .network import Network, NetworkCall
from .sent import Sent

__all__ = ["Phone"]

#: Seconds between two looks, at most, where the board does not announce all that may come true: the journal's does not tell of
#: the end of a call.
GLANCE: Final = 0.2
STATES = ("created", "ringing", "answered", "ending", "ended")
REASONS = ("hangup", "cancel", "busy", "noAnswer", "decline", "error", "abandoned", "maxDuration", "notFound")


@define(eq=False)
class Phone:
    """The far end of one call: somebody who speaks, listens, presses keys and hangs up. Usable from any thread.

    :ivar call_id: the call's id on the wire. :ivar node_id: its node.
    """

    _world: World = field(repr=False)
    _network: Network = field(repr=False)
    _call: NetworkCall = field(repr=False)
    call_id: str = field(init=False)
    node_id: str = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.call_id = self._call.call_id
        self.node_id = self._call.node_id

    @property
    def state(self) -> str:
        """``created``, ``ringing``, ``answered``, ``ending`` or ``ended``."""
        return self._call.state

    @property
    def end_reason(self) -> str:
        """Why the call ended, as the events tell it (``hangup``, ``busy``, ``noAnswer`` ...); ``""`` while it lives."""
        return self._call.end_reason if self._call.over else ""

    @property
    def streams(self) -> list[Stream]:
        """The streams of the call in the order they were asked for, ended ones included."""
        return list(self._call.streams)

    @property
    def heard_audio(self) -> bytes:
        """What the party heard from two-way streams, without the silence between: 16-bit PCM, each stream's at its own
        rate. When each piece was heard is told by the streams themselves (``TwoWayStream.heard``).
        """
        return b"".join(stream.heard_audio for stream in self.streams if isinstance(stream, TwoWayStream))

    def wait_until(self, state: str, timeout: float = 10.0) -> None:
        """Return once the call is, or has been, in a state.

        :raises CallEnded: it ended without. :raises WaitTimeout: neither happened within ``timeout`` seconds.
        """
        if state not in STATES:
            raise InvalidParameter("state", state, f"one of {', '.join(STATES)}")
        call = self._call

        def look() -> bool | None:
            if state in call.reached:
                return True
            if call.state == "ended":
                raise CallEnded(
                    f"the call ended ({call.end_reason}) without ever being {state}", end_reason=call.end_reason
                )
            return None

        call.board.wait_for(look, timeout, lambda: f"the call to be {state}; it is {call.state}{self._why}")

    def wait_for_stream(self, index: int = 0, timeout: float = 10.0) -> Stream:
        """The call's stream number ``index``, counted from 0, as soon as a client has asked for it.

        :raises CallEnded: the call ended without. :raises WaitTimeout: neither happened within ``timeout`` seconds.
        """
        call = self._call
        given.number("index", index)

        def look() -> Stream | None:
            if len(call.streams) > index:
                return call.streams[index]
            if call.state == "ended":
                raise CallEnded(f"the call ended without a stream number {index}", end_reason=call.end_reason)
            return None

        return call.board.wait_for(look, timeout, lambda: f"stream number {index} of the call{self._why}")

    def wait_for_two_way_stream(self, index: int = 0, timeout: float = 10.0) -> TwoWayStream:
        """The call's two-way stream number ``index``, counted from 0, as soon as a client has asked for it.

        :raises CallEnded: the call ended without. :raises WaitTimeout: neither happened within ``timeout`` seconds.
        """
        call = self._call
        given.number("index", index)

        def look() -> TwoWayStream | None:
            found = [stream for stream in call.streams if isinstance(stream, TwoWayStream)]
            if len(found) > index:
                return found[index]
            if call.state == "ended":
                raise CallEnded(f"the call ended without a two-way stream number {index}", end_reason=call.end_reason)
            return None

        return call.board.wait_for(look, timeout, lambda: f"two-way stream number {index} of the call{self._why}")

    def hang_up(self, reason: str = "hangup", timeout: float = 5.0) -> None:
        """End the call from this side; nothing happens if it is over. Returns when it has ended.

        :raises WaitTimeout: the simulator did not get round to it within ``timeout`` seconds.
        """
        if reason not in REASONS:
            raise InvalidParameter("reason", reason, f"one of {', '.join(REASONS)}")
        self._world.do(self._network.end, self._call, reason, self._call.far_side, timeout=timeout)

    def _act(self, act: Callable[..., object], *args: Any, states: tuple[str, ...], timeout: float) -> None:
        """Do something to the call if it is in one of these states. The state is looked at on the loop's thread, so that it
        cannot change in between.
        """
        call = self._call

        def do() -> None:
            if call.over:
                raise CallEnded(f"the call is over ({call.end_reason})", end_reason=call.end_reason)
            if call.state not in states:
                raise self._refusal(f"the call is {call.state}: this is for one that is {' or '.join(states)}")
            act(call, *args)

        self._world.do(do, timeout=timeout)

    def _refusal(self, why: str) -> CommandRefused:
        return CommandRefused(409, why, call_id=self.call_id)

    def press(self, digits: str, timeout: float = 5.0) -> None:
        """Press keys, one after the other. The call's flowing streams tell of them, and whatever listens to keys at
        this moment takes them; nothing is kept for later.

        :param digits: ``0`` to ``9``, ``*``, ``#``, ``A`` to ``D``.
        :raises CallEnded: the call is over. :raises CommandRefused: it is not answered (code 409).
        :raises WaitTimeout: the simulator did not get round to it within ``timeout`` seconds.
        """
        self._act(self._network.press, given.keys("digits", digits), states=("answered",), timeout=timeout)

    def say(self, text: str, timeout: float = 5.0) -> None:
        """Say something. Whatever listens to words at this moment takes them; nothing is kept for later.

        :param text: ``""`` is a noise that nobody can make out.
        :raises CallEnded: the call is over. :raises CommandRefused: it is not answered (code 409).
        :raises WaitTimeout: the simulator did not get round to it within ``timeout`` seconds.
        """
        self._act(self._network.say, given.words("text", text), states=("answered",), timeout=timeout)

    def keep_silent(self, timeout: float = 5.0) -> None:
        """Do nothing, and go on doing nothing: what waits for this party has waited long enough at once.

        :raises CallEnded: the call is over.
        :raises WaitTimeout: the simulator did not get round to it within ``timeout`` seconds.
        """
        states = ("created", "ringing", "answered")
        self._act(self._network.keep_silent, states=states, timeout=timeout)

    def answer(self, timeout: float = 5.0) -> None:
        """Pick up, where our side calls. Returns when the call is answered.

        :raises CallEnded: the call is over. :raises CommandRefused: it is answered already, or this is the caller, whose call
            is answered by our side (code 409).
        :raises WaitTimeout: the simulator did not get round to it within ``timeout`` seconds.
        """
        if self._call.direction == "inbound":
            raise self._refusal("this is the caller: our side answers the call, with calling.answer")
        self._act(self._network.pick_up, states=("created", "ringing"), timeout=timeout)

    # -- what it has noticed -------------------------------------------------------------------------------------------

    @property
    def number(self) -> str:
        """Its own number or address."""
        return self._call.number

    @property
    def heard(self) -> PlayedSoFar:
        """What was played to it, in order, as much of it as got through: of a text that is cut off the words until then. The
        last 1000 things, and before them what was not played again; of music without an end one round. For assertions:
        ``assert phone.heard("Welcome")``.
        """
        return PlayedSoFar(lambda: self._world.look(self._call.heard), self.wait_until_heard)

    @property
    def waits_because(self) -> str:
        """Why no client is offered the call: nobody listens to its context, and which contexts clients listen to; ``""`` where
        there is no such reason.
        """
        return self._network.unheard(self._call)

    @property
    def _why(self) -> str:
        """What else there is to say of a wait that failed."""
        return f" ({self.waits_because})" if self.waits_because else ""

    def sent(self, method: str, *, within: float = 5.0, **params: Any) -> Sent:
        """Whether our side has sent a command about this call: ``assert phone.sent("calling.stream", track="inbound_track")``.

        :param params: members that the command must have; it may have more.
        :param within: seconds to wait for it. The end of the call ends the wait, too.
        :return: true or false; where it is shown, as by an assertion that failed, it says what was sent.
        :raises InvalidParameter: the method is a misspelt one.
        """
        check_method(method)
        within = seconds_to_wait(within, name="within")
        found = self._wait_for_sent(method, within, params)
        return Sent(found, method, params, commands=lambda: self.commands, why=lambda: self._why)

    def _is_about(self, given: Mapping[str, Any]) -> bool:
        """Whether the parameters of a command name this call."""
        call = self._call
        return bool(given.get("call_id") == call.call_id or (call.tag and given.get("tag") == call.tag))

    def _wait_for_sent(self, method: str, within: float, params: Mapping[str, Any]) -> bool:
        reader = Reader(self._world.journal)

        def wanted(entry: Entry) -> bool:
            given = entry.params
            return (
                entry.direction == "in"
                and entry.method == method
                and self._is_about(given)
                and all(name in given and given[name] == value for name, value in params.items())
            )

        def look() -> str | None:
            ended = self._call.state == "ended"  # looked at first: what was sent before the end is in the journal
            if any(wanted(entry) for _, entry in reader.fresh()):
                return "sent"
            return "ended" if ended else None

        try:
            return reader.wait_for(look, within, method, every=GLANCE) == "sent"
        except WaitTimeout:
            return False

    @property
    def commands(self) -> list[tuple[str, dict[str, Any]]]:
        """The commands about this call that our side has sent, with their parameters, as far as the journal goes back."""
        sent = [entry for entry in self._world.journal if entry.direction == "in" and entry.method]
        return [(entry.method, entry.params) for entry in sent if self._is_about(entry.params)]

    @property
    def digits(self) -> str:
        """The keys that our side sent to it, pauses left out."""
        return self._call.party.digits

    @property
    def activities(self) -> list[str]:
        """The methods that started what goes on on the call at this moment (``calling.record``, ...), in order."""
        return [operation.method for operation in list(self._call.operations)]

    @property
    def on_hold(self) -> bool:
        """Whether our side has put it on hold."""
        return "on hold" in self._call.features

    @property
    def denoised(self) -> bool:
        """Whether its noise is suppressed."""
        return "denoised" in self._call.features

    @property
    def recorded(self) -> bool:
        """Whether the call is being recorded."""
        return "calling.record" in self.activities

    def wait_until_heard(self, words: str, timeout: float = 10.0) -> Played:
        """Return once something was played to it whose text, URL or ringtone contains ``words``: the first such thing.

        :raises CallEnded: the call ended without. :raises WaitTimeout: neither happened within ``timeout`` seconds.
        """
        call, seen = self._call, 0
        given.words("words", words)

        def look() -> Played | None:
            nonlocal seen
            ended = call.state == "ended"
            hearing = call.hearing()  # before what it has heard, which it may become
            fresh, seen = call.party.heard.since(seen)
            found = next((item for item in (*fresh, *hearing) if words in item.words), None)
            if found is None and ended:
                raise CallEnded(f"the call ended, and {words!r} was never heard", end_reason=call.end_reason)
            return found

        def told() -> str:
            return f"{words!r} to be heard; so far: {[item.words for item in self.heard]}{self._why}"

        return call.board.wait_for(look, timeout, told, every=GLANCE)

    def wait_until_idle(self, timeout: float = 10.0) -> None:
        """Return once nothing goes on on the call any more; see :attr:`activities`. Keys that are bound to a method do not
        count: a binding waits, and has no end of its own.

        :raises WaitTimeout: something still does after ``timeout`` seconds.
        """

        def going_on() -> list[str]:
            return [operation.method for operation in list(self._call.operations) if operation.goes_on]

        self._call.board.wait_for(lambda: not going_on(), timeout, lambda: f"the end of {', '.join(going_on())}")

    def wait_until_doing(self, method: str, timeout: float = 10.0) -> None:
        """Return once something that ``method`` starts goes on on the call: then keys and words find a listener.

        :param method: as in :attr:`activities`.
        :raises InvalidParameter: nothing that goes on on calls is called that.
        :raises CallEnded: the call ended without. :raises WaitTimeout: neither happened within ``timeout`` seconds.
        """
        check_activity(method)
        call = self._call

        def look() -> bool | None:
            if method in self.activities:
                return True
            if call.state == "ended":
                raise CallEnded(f"the call ended, and no {method} went on", end_reason=call.end_reason)
            return None

        call.board.wait_for(
            look, timeout, lambda: f"a {method} to go on; there is {self.activities or 'nothing'}{self._why}"
        )
