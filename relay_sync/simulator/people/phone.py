"""A simulated telephone, as tests control it."""

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

#: Seconds between two checks, at most, for conditions that the noticeboard does not announce: the journal's noticeboard does not
#: announce the end of a call.
GLANCE: Final = 0.2
STATES = ("created", "ringing", "answered", "ending", "ended")
REASONS = ("hangup", "cancel", "busy", "noAnswer", "decline", "error", "abandoned", "maxDuration", "notFound")


@define(eq=False)
class Phone:
    """The remote end of a call. It is a party that speaks, listens, presses digits and hangs up. May be used from any thread.

    Obtained from :meth:`Simulator.call`, :attr:`Simulator.phones` or :meth:`ExpectedPhone.wait_for_call`.

    :param world: the simulator's internal state.
    :param network: the simulated network.
    :param call: the call.

    :ivar call_id: id of the call on the wire.
    :ivar node_id: id of the call's node.
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
        """Why the call ended, as events report it (``hangup``, ``busy``, ``noAnswer`` ...); ``""`` before."""
        return self._call.end_reason if self._call.over else ""

    @property
    def streams(self) -> list[Stream]:
        """The streams of the call in the order of their requests, finished ones included."""
        return list(self._call.streams)

    @property
    def heard_audio(self) -> bytes:
        """The audio that the party heard on two-way streams, without pauses: 16-bit PCM, each stream at its own rate. For the
        position
        of each piece, see ``TwoWayStream.heard``.
        """
        return b"".join(stream.heard_audio for stream in self.streams if isinstance(stream, TwoWayStream))

    def wait_until(self, state: str, timeout: float = 10.0) -> None:
        """Wait until the call is, or has been, in a state.

        :param state: ``created``, ``ringing``, ``answered``, ``ending`` or ``ended``.
        :param timeout: seconds to wait.
        :raises InvalidParameter: the state is unknown.
        :raises CallEnded: the call ended without reaching the state.
        :raises WaitTimeout: neither happened within ``timeout`` seconds.
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

        call.board.wait_for(look, timeout, lambda: f"the call to be {state} (it is {call.state}){self._why}")

    def wait_for_stream(self, index: int = 0, timeout: float = 10.0) -> Stream:
        """Wait until a client has requested a stream of the call.

        :param index: number of the stream, counted from 0.
        :param timeout: seconds to wait.
        :return: the stream.
        :raises CallEnded: the call ended without this stream.
        :raises WaitTimeout: neither happened within ``timeout`` seconds.
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
        """Wait until a client has requested a two-way stream of the call.

        :param index: number of the stream among the two-way streams, counted from 0.
        :param timeout: seconds to wait.
        :return: the stream.
        :raises CallEnded: the call ended without this stream.
        :raises WaitTimeout: neither happened within ``timeout`` seconds.
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
        """End the call from this side, and wait until it has ended. Does nothing if it is already over.

        :param reason: reason that events report, such as ``hangup`` or ``busy``.
        :param timeout: seconds to wait.
        :raises InvalidParameter: the reason is unknown.
        :raises WaitTimeout: the call did not end within ``timeout`` seconds.
        """
        if reason not in REASONS:
            raise InvalidParameter("reason", reason, f"one of {', '.join(REASONS)}")
        self._world.do(self._network.end, self._call, reason, self._call.far_side, timeout=timeout)

    def _act(self, act: Callable[..., object], *args: Any, states: tuple[str, ...], timeout: float) -> None:
        """Act on the call if it is in one of some states. The check runs on the loop's thread, so that the state cannot change in
        between.
        """
        call = self._call

        def do() -> None:
            if call.over:
                raise CallEnded(f"the call is over ({call.end_reason})", end_reason=call.end_reason)
            if call.state not in states:
                raise self._refusal(f"the call is {call.state}; it must be {' or '.join(states)}")
            act(call, *args)

        self._world.do(do, timeout=timeout)

    def _refusal(self, why: str) -> CommandRefused:
        return CommandRefused(409, why, call_id=self.call_id)

    def press(self, digits: str, timeout: float = 5.0) -> None:
        """Press digits, one after the other. Open streams and running operations that accept digits receive them. Digits are not
        kept
        for later operations.

        :param digits: ``0`` to ``9``, ``*``, ``#``, ``A`` to ``D``.
        :param timeout: seconds to wait until the digits are delivered.
        :raises CallEnded: the call is over.
        :raises CommandRefused: the call is not answered (code 409).
        :raises WaitTimeout: the simulator did not deliver them within ``timeout`` seconds.
        """
        self._act(self._network.press, given.keys("digits", digits), states=("answered",), timeout=timeout)

    def say(self, text: str, timeout: float = 5.0) -> None:
        """Say something. Running operations that recognize speech receive it. Speech is not kept for later operations.

        :param text: the words; ``""`` is unintelligible noise.
        :param timeout: seconds to wait until the words are delivered.
        :raises CallEnded: the call is over.
        :raises CommandRefused: the call is not answered (code 409).
        :raises WaitTimeout: the simulator did not deliver them within ``timeout`` seconds.
        """
        self._act(self._network.say, given.words("text", text), states=("answered",), timeout=timeout)

    def keep_silent(self, timeout: float = 5.0) -> None:
        """Do nothing from now on: timeouts that wait for this party expire at once.

        :param timeout: seconds to wait until it takes effect.
        :raises CallEnded: the call is over.
        :raises WaitTimeout: the simulator did not do it within ``timeout`` seconds.
        """
        states = ("created", "ringing", "answered")
        self._act(self._network.keep_silent, states=states, timeout=timeout)

    def answer(self, timeout: float = 5.0) -> None:
        """Answer a call from the application, and wait until it is answered.

        :param timeout: seconds to wait.
        :raises CallEnded: the call is over.
        :raises CommandRefused: the call is already answered, or this phone is the caller, whose call the application answers
            (code
            409).
        :raises WaitTimeout: the call was not answered within ``timeout`` seconds.
        """
        if self._call.direction == "inbound":
            raise self._refusal("this phone is the caller: the application answers the call with calling.answer")
        self._act(self._network.pick_up, states=("created", "ringing"), timeout=timeout)

    # -- observations --------------------------------------------------------------------------------------------------

    @property
    def number(self) -> str:
        """The phone's own number or address."""
        return self._call.number

    @property
    def heard(self) -> PlayedSoFar:
        """What was played to the party, in order and up to interruptions: of interrupted text, the words up to then. Holds
        the last
        1000 items (repeated ones are removed first); endless music counts once. For assertions: ``assert
        phone.heard("Welcome")``.
        """
        return PlayedSoFar(lambda: self._world.look(self._call.heard), self.wait_until_heard)

    @property
    def waits_because(self) -> str:
        """Why the call is not offered to a client: no client has subscribed to its context (with the contexts that have
        subscribers);
        ``""`` otherwise.
        """
        return self._network.unheard(self._call)

    @property
    def _why(self) -> str:
        """The reason to add to the message of a wait that failed."""
        return f" ({self.waits_because})" if self.waits_because else ""

    def sent(self, method: str, *, within: float = 5.0, **params: Any) -> Sent:
        """Return whether the application has sent a command for this call.

        Example: ``assert phone.sent("calling.stream", track="inbound_track")``.

        :param method: RELAY method of the command.
        :param within: seconds to wait for the command. The wait also stops when the call ends.
        :param params: parameters that the command must have; it may have others.
        :return: a true or false value whose repr, as in a failed assertion, lists the commands that were sent.
        :raises InvalidParameter: the method is misspelled.
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
            ended = self._call.state == "ended"  # checked first: the journal has all commands from before the end
            if any(wanted(entry) for _, entry in reader.fresh()):
                return "sent"
            return "ended" if ended else None

        try:
            return reader.wait_for(look, within, method, every=GLANCE) == "sent"
        except WaitTimeout:
            return False

    @property
    def commands(self) -> list[tuple[str, dict[str, Any]]]:
        """The commands that the application has sent for this call, with their parameters, as far as the journal keeps them."""
        sent = [entry for entry in self._world.journal if entry.direction == "in" and entry.method]
        return [(entry.method, entry.params) for entry in sent if self._is_about(entry.params)]

    @property
    def digits(self) -> str:
        """The digits that the application sent to the party, without pauses."""
        return self._call.party.digits

    @property
    def activities(self) -> list[str]:
        """The methods that started the operations running on the call (``calling.record``, ...), in order."""
        return [operation.method for operation in list(self._call.operations)]

    @property
    def on_hold(self) -> bool:
        """Whether the application has put the party on hold."""
        return "on hold" in self._call.features

    @property
    def denoised(self) -> bool:
        """Whether noise suppression is on."""
        return "denoised" in self._call.features

    @property
    def recorded(self) -> bool:
        """Whether the call is being recorded."""
        return "calling.record" in self.activities

    def wait_until_heard(self, words: str, timeout: float = 10.0) -> Played:
        """Wait until something was played whose text, URL or ringtone name contains ``words``.

        :param words: text to find.
        :param timeout: seconds to wait.
        :return: the first match.
        :raises CallEnded: the call ended without a match.
        :raises WaitTimeout: neither happened within ``timeout`` seconds.
        """
        call, seen = self._call, 0
        given.words("words", words)

        def look() -> Played | None:
            nonlocal seen
            ended = call.state == "ended"
            hearing = call.hearing()  # before the items already heard, which these may join
            fresh, seen = call.party.heard.since(seen)
            found = next((item for item in (*fresh, *hearing) if words in item.words), None)
            if found is None and ended:
                raise CallEnded(f"the call ended before {words!r} was heard", end_reason=call.end_reason)
            return found

        def told() -> str:
            return f"{words!r} to be heard; heard so far: {[item.words for item in self.heard]}{self._why}"

        return call.board.wait_for(look, timeout, told, every=GLANCE)

    def wait_until_idle(self, timeout: float = 10.0) -> None:
        """Wait until no operation is running on the call; see :attr:`activities`. Digit bindings do not count: they have no end.

        :param timeout: seconds to wait.
        :raises WaitTimeout: an operation is still running after ``timeout`` seconds.
        """

        def running() -> list[str]:
            return [operation.method for operation in list(self._call.operations) if operation.goes_on]

        self._call.board.wait_for(lambda: not running(), timeout, lambda: f"the end of {', '.join(running())}")

    def wait_until_doing(self, method: str, timeout: float = 10.0) -> None:
        """Wait until an operation that ``method`` starts is running on the call, so that it receives digits and speech.

        :param method: RELAY method, as in :attr:`activities`.
        :param timeout: seconds to wait.
        :raises InvalidParameter: the method starts no operation on calls.
        :raises CallEnded: the call ended without this operation.
        :raises WaitTimeout: neither happened within ``timeout`` seconds.
        """
        check_activity(method)
        call = self._call

        def look() -> bool | None:
            if method in self.activities:
                return True
            if call.state == "ended":
                raise CallEnded(f"the call ended before {method} started", end_reason=call.end_reason)
            return None

        call.board.wait_for(
            look,
            timeout,
            lambda: f"{method} to start; running now: {', '.join(self.activities) or 'nothing'}{self._why}",
        )
