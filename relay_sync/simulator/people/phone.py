"""Simulated phones that tests control."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, get_args

from attrs import define, field

from ...errors import CallEnded, CommandRefused, InvalidParameter, WaitTimeout
from ..core import given
from ..core.journal import Entry, Reader
from ..core.names import check_activity, check_method
from ..core.noticeboard import seconds_to_wait
from ..core.world import World
from ..media.live_ear import LiveEar, LiveSound
from ..media.live_voice import LiveVoice, check_free
from ..media.played import Played
from ..media.stream import Stream
from ..media.two_way import TwoWayStream
from ..media.voice import TELEPHONE, check_rate
from .heard import PlayedSoFar
from .network import Network, NetworkCall
from .sent import Sent

__all__ = ["Phone"]

#: Polling interval in seconds for conditions that a noticeboard does not announce. For example, the journal's noticeboard does
#: not announce the end of a call.
GLANCE: Final = 0.2
State = Literal["created", "ringing", "answered", "ending", "ended"]
STATES: Final[tuple[str, ...]] = get_args(State)
REASONS = ("hangup", "cancel", "busy", "noAnswer", "decline", "error", "abandoned", "maxDuration", "notFound")


@define(eq=False)
class Phone:
    """The remote end of a call, as controlled by a test. It speaks, listens, presses digits and hangs up. Safe to use from any
    thread.

    Instances are returned by :meth:`Simulator.call`, :attr:`Simulator.phones` and :meth:`ExpectedPhone.wait_for_call`.

    :param world: internal state of the simulator.
    :param network: the simulated telephone network.
    :param call: this phone's call.

    :ivar call_id: ID of the call, as sent to clients.
    :ivar node_id: ID of the node that handles the call.
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
        """State of the call: ``created``, ``ringing``, ``answered``, ``ending`` or ``ended``."""
        return self._call.state

    @property
    def end_reason(self) -> str:
        """Reason the call ended, as reported in events (``hangup``, ``busy``, ``noAnswer``, ...). Empty until the call ends."""
        return self._call.end_reason if self._call.over else ""

    @property
    def streams(self) -> list[Stream]:
        """All of the call's streams, including finished streams, in the order in which they were requested."""
        return list(self._call.streams)

    @property
    def heard_audio(self) -> bytes:
        """The audio that the party heard on two-way streams, as 16-bit PCM without the pauses.

        Each stream has its own sample rate. ``TwoWayStream.heard`` contains the position of each piece of audio.
        """
        return b"".join(stream.heard_audio for stream in self.streams if isinstance(stream, TwoWayStream))

    def wait_until(self, state: State | str, timeout: float = 10.0) -> None:
        """Wait until the call has reached a state. Return immediately if it was in that state earlier.

        :param state: ``created``, ``ringing``, ``answered``, ``ending`` or ``ended``.
        :param timeout: maximum time to wait, in seconds.
        :raises InvalidParameter: the state is unknown.
        :raises CallEnded: the call ended without reaching the state.
        :raises WaitTimeout: the call neither reached the state nor ended within ``timeout`` seconds.
        """
        if state not in STATES:
            raise InvalidParameter("state", state, f"one of {', '.join(STATES)}")
        call = self._call

        def look() -> bool | None:
            if state in call.reached:
                return True
            if call.state == "ended":
                raise CallEnded(f"the call ended ({call.end_reason}) before it was {state}", end_reason=call.end_reason)
            return None

        call.board.wait_for(look, timeout, lambda: f"the call to be {state} (it is {call.state}){self._why}")

    def wait_for_stream(self, index: int = 0, timeout: float = 10.0) -> Stream:
        """Wait until a client has requested a stream for the call.

        :param index: index of the stream, starting at 0.
        :param timeout: maximum time to wait, in seconds.
        :return: the stream.
        :raises CallEnded: the call ended before this stream was requested.
        :raises WaitTimeout: the stream was not requested within ``timeout`` seconds.
        """
        call = self._call
        given.number("index", index)

        def look() -> Stream | None:
            if len(call.streams) > index:
                return call.streams[index]
            if call.state == "ended":
                raise CallEnded(f"the call ended before stream {index} was requested", end_reason=call.end_reason)
            return None

        return call.board.wait_for(look, timeout, lambda: f"stream {index} of the call{self._why}")

    def wait_for_two_way_stream(self, index: int = 0, timeout: float = 10.0) -> TwoWayStream:
        """Wait until a client has requested a two-way stream for the call.

        :param index: index among the call's two-way streams, starting at 0.
        :param timeout: maximum time to wait, in seconds.
        :return: the stream.
        :raises CallEnded: the call ended before this stream was requested.
        :raises WaitTimeout: the stream was not requested within ``timeout`` seconds.
        """
        call = self._call
        given.number("index", index)

        def look() -> TwoWayStream | None:
            found = [stream for stream in call.streams if isinstance(stream, TwoWayStream)]
            if len(found) > index:
                return found[index]
            if call.state == "ended":
                raise CallEnded(
                    f"the call ended before two-way stream {index} was requested", end_reason=call.end_reason
                )
            return None

        return call.board.wait_for(look, timeout, lambda: f"two-way stream {index} of the call{self._why}")

    def hang_up(self, reason: str = "hangup", timeout: float = 5.0) -> None:
        """Hang up, and wait until the call has ended. Do nothing if the call is over.

        :param reason: reason to report in events, such as ``hangup`` or ``busy``.
        :param timeout: maximum time to wait, in seconds.
        :raises InvalidParameter: the reason is unknown.
        :raises WaitTimeout: the call did not end within ``timeout`` seconds.
        """
        if reason not in REASONS:
            raise InvalidParameter("reason", reason, f"one of {', '.join(REASONS)}")
        self._world.do(self._network.end, self._call, reason, self._call.far_side, timeout=timeout)

    def _act(self, act: Callable[..., object], *args: Any, states: tuple[str, ...], timeout: float) -> None:
        """Run an action on the call if the call is in one of the given states.

        The check and the action both run on the loop's thread, so the state cannot change between them.
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
        """Press digits, one after another.

        Open streams and running operations that accept digits receive them. Digits are not stored for operations that start
        later.

        :param digits: digits to press: ``0`` to ``9``, ``*``, ``#``, ``A`` to ``D``.
        :param timeout: maximum time to wait for the digits to be delivered, in seconds.
        :raises CallEnded: the call is over.
        :raises CommandRefused: the call is not answered (code 409).
        :raises WaitTimeout: the simulator did not deliver the digits within ``timeout`` seconds.
        """
        self._act(self._network.press, given.keys("digits", digits), states=("answered",), timeout=timeout)

    def speak(self, voice: LiveVoice, timeout: float = 5.0) -> None:
        """Let the party speak with a voice that is fed during the call.

        For a call that the simulator places, pass the voice to :meth:`Simulator.call` instead.

        :param voice: the voice, which no other call may use.
        :param timeout: maximum time to wait for the change to take effect, in seconds.
        :raises InvalidParameter: the voice belongs to a call, or the simulator's ``speed`` is not 1.
        :raises CallEnded: the call is over.
        :raises CommandRefused: the party already speaks (code 409).
        :raises WaitTimeout: the simulator did not apply the change within ``timeout`` seconds.
        """
        check_free("voice", voice, self._world.settings)

        def attach(call: NetworkCall) -> None:
            if call.streams or call.says.duration:
                raise self._refusal("the party already speaks")
            call.says = voice
            voice.attach(self._world, call)

        self._act(attach, states=("created", "ringing", "answered"), timeout=timeout)

    def listen(
        self, rate: int = TELEPHONE, *, on_sound: Callable[[LiveSound], object] | None = None, timeout: float = 5.0
    ) -> LiveEar:
        """Receive what the party hears during the call, starting when the call is answered.

        ::

            ear = phone.listen()
            while (sound := ear.read()) is not None:
                play(sound.pcm, sound.rate)

        :param rate: sample rate of audio that does not come from a two-way stream, in Hz.
        :param on_sound: called with each frame on the simulator's thread instead of storing it for :meth:`LiveEar.read`. The
            function must not block.
        :param timeout: maximum time to wait for the simulator, in seconds.
        :return: the receiver, which ends with the call.
        :raises InvalidParameter: the sample rate is not supported.
        :raises CallEnded: the call is over.
        :raises WaitTimeout: the simulator did not start to listen within ``timeout`` seconds.
        """
        check_rate(rate)
        if on_sound is not None:
            given.function("on_sound", on_sound)
        ear = LiveEar(world=self._world, call=self._call, rate=rate, on_sound=on_sound)

        def moved(call: NetworkCall) -> None:
            if call.state == "answered":
                ear.begin()
            elif call.state == "ended":
                ear.stop()

        def begin(call: NetworkCall) -> None:
            call.watchers.append(moved)
            moved(call)

        self._act(begin, states=("created", "ringing", "answered"), timeout=timeout)
        return ear

    def on_state(self, changed: Callable[[str], object], timeout: float = 5.0) -> None:
        """Register a function to call when the call's state changes.

        :param changed: called with the new state, on the simulator's thread. The function must not block.
        :param timeout: maximum time to wait for the simulator, in seconds.
        :raises InvalidParameter: ``changed`` is not a function.
        :raises CallEnded: the call is over.
        :raises WaitTimeout: the simulator did not register the function within ``timeout`` seconds.
        """
        given.function("changed", changed)

        def register(call: NetworkCall) -> None:
            def moved(call: NetworkCall) -> None:
                changed(call.state)

            call.watchers.append(moved)

        self._act(register, states=("created", "ringing", "answered"), timeout=timeout)

    def say(self, text: str, timeout: float = 5.0) -> None:
        """Say a sentence.

        Running operations that recognize speech receive it. Speech is not stored for operations that start later.

        :param text: words to say; ``""`` is unintelligible noise.
        :param timeout: maximum time to wait for the words to be delivered, in seconds.
        :raises CallEnded: the call is over.
        :raises CommandRefused: the call is not answered (code 409).
        :raises WaitTimeout: the simulator did not deliver the words within ``timeout`` seconds.
        """
        self._act(self._network.say, given.words("text", text), states=("answered",), timeout=timeout)

    def keep_silent(self, timeout: float = 5.0) -> None:
        """Stay silent for the rest of the call. Timeouts waiting for this party's input then expire immediately.

        :param timeout: maximum time to wait for the change to take effect, in seconds.
        :raises CallEnded: the call is over.
        :raises WaitTimeout: the simulator did not apply the change within ``timeout`` seconds.
        """
        states = ("created", "ringing", "answered")
        self._act(self._network.keep_silent, states=states, timeout=timeout)

    def answer(self, timeout: float = 5.0) -> None:
        """Answer a call from the application, and wait until the call is in the state ``answered``.

        :param timeout: maximum time to wait, in seconds.
        :raises CallEnded: the call is over.
        :raises CommandRefused: the call is already answered, or this phone is the caller and only the application can answer
            (code 409).
        :raises WaitTimeout: the call was not answered within ``timeout`` seconds.
        """
        if self._call.direction == "inbound":
            raise self._refusal("this phone is the caller: the application answers the call with calling.answer")
        self._act(self._network.pick_up, states=("created", "ringing"), timeout=timeout)

    def force_state(self, state: State | str, *, announce: bool = True, timeout: float = 5.0) -> None:
        """Bring the call into a state that neither party has asked for. Do nothing if it has ended or is in that state.

        :param state: ``created``, ``ringing``, ``answered``, ``ending`` or ``ended``.
        :param announce: whether the client receives the usual events. With ``False``, only the simulator's state changes, for a
            test that sends the events with ``Simulator.send_frame``.
        :param timeout: maximum time to wait for the change, in seconds.
        :raises InvalidParameter: the state is unknown.
        :raises WaitTimeout: the simulator did not change the state within ``timeout`` seconds.
        """
        if state not in STATES:
            raise InvalidParameter("state", state, f"one of {', '.join(STATES)}")
        announce = given.yes("announce", announce)
        self._world.do(lambda: self._network.force(self._call, state, announce=announce), timeout=timeout)

    # -- observations --------------------------------------------------------------------------------------------------

    @property
    def number(self) -> str:
        """This phone's number or address."""
        return self._call.number

    @property
    def application_number(self) -> str:
        """The number or address on the application's side of the call."""
        return self._call.our_number

    @property
    def heard(self) -> PlayedSoFar:
        """The items that were played to the party, in order. Typical use: ``assert phone.heard("Welcome")``.

        If playback was interrupted, the item ends at that point, and its text contains only the words spoken by then.

        The sequence holds the last 1000 items. Repeated items are removed first, and endlessly repeated media is listed once.
        """
        return PlayedSoFar(lambda: self._world.look(self._call.heard), self.wait_until_heard)

    @property
    def waits_because(self) -> str:
        """Reason why the call has not been offered to a client, or ``""`` if it is not waiting for a client.

        A call waits if no client has subscribed to its context. The text lists the contexts that clients have subscribed to.
        """
        return self._network.waiting_reason(self._call)

    @property
    def _why(self) -> str:
        """The :attr:`waits_because` text in parentheses, for error messages about failed waits."""
        return f" ({self.waits_because})" if self.waits_because else ""

    def sent(self, method: str, *, within: float = 5.0, **params: Any) -> Sent:
        """Return whether the application has sent a command for this call.

        Example: ``assert phone.sent("calling.stream", track="inbound_track")``.

        :param method: RELAY method of the command.
        :param within: maximum time to wait for the command, in seconds. The wait also stops when the call ends.
        :param params: parameters that the command must have. Other parameters are ignored.
        :return: an object that is true if the command was sent. If an assertion fails, its repr lists the commands that were
            sent.
        :raises InvalidParameter: the method does not exist.
        """
        check_method(method)
        within = seconds_to_wait(within, name="within")
        found = self._wait_for_sent(method, within, params)
        return Sent(found, method, params, commands=lambda: self.commands, why=lambda: self._why)

    def _is_about(self, given: Mapping[str, Any]) -> bool:
        """Return whether a command's parameters refer to this call."""
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
            # Read the state before the journal, so that the journal contains all commands sent before the end.
            ended = self._call.state == "ended"
            if any(wanted(entry) for _, entry in reader.fresh()):
                return "sent"
            return "ended" if ended else None

        try:
            return reader.wait_for(look, within, method, every=GLANCE) == "sent"
        except WaitTimeout:
            return False

    @property
    def commands(self) -> list[tuple[str, dict[str, Any]]]:
        """The commands that the application has sent for this call, with their parameters.

        Commands that the journal has already discarded are not included.
        """
        sent = [entry for entry in self._world.journal if entry.direction == "in" and entry.method]
        return [(entry.method, entry.params) for entry in sent if self._is_about(entry.params)]

    @property
    def digits(self) -> str:
        """The digits that the application has sent to the party, without pauses."""
        return self._call.party.digits

    @property
    def activities(self) -> list[str]:
        """The methods that started the call's running operations (``calling.record``, ...), in order."""
        return [operation.method for operation in list(self._call.operations)]

    @property
    def on_hold(self) -> bool:
        """Whether the application has put the party on hold."""
        return "on hold" in self._call.features

    @property
    def denoised(self) -> bool:
        """Whether noise suppression is enabled."""
        return "denoised" in self._call.features

    @property
    def recorded(self) -> bool:
        """Whether the call is being recorded."""
        return "calling.record" in self.activities

    def wait_until_heard(self, words: str, timeout: float = 10.0) -> Played:
        """Wait until an item was played whose text, URL or ringtone name contains ``words``.

        :param words: text to look for.
        :param timeout: maximum time to wait, in seconds.
        :return: the first matching item.
        :raises CallEnded: the call ended before a matching item was played.
        :raises WaitTimeout: no matching item was played within ``timeout`` seconds.
        """
        call, seen = self._call, 0
        given.words("words", words)

        def look() -> Played | None:
            nonlocal seen
            ended = call.state == "ended"
            hearing = call.hearing()  # read first: these items may move to the items already heard
            fresh, seen = call.party.heard.since(seen)
            found = next((item for item in (*fresh, *hearing) if words in item.words), None)
            if found is None and ended:
                raise CallEnded(f"the call ended before {words!r} was heard", end_reason=call.end_reason)
            return found

        def message() -> str:
            return f"{words!r} to be heard; heard so far: {[item.words for item in self.heard]}{self._why}"

        return call.board.wait_for(look, timeout, message, every=GLANCE)

    def wait_until_idle(self, timeout: float = 10.0) -> None:
        """Wait until no operation is running on the call.

        Digit bindings are ignored, because they have no defined end. See :attr:`activities`.

        :param timeout: maximum time to wait, in seconds.
        :raises WaitTimeout: an operation was still running after ``timeout`` seconds.
        """

        def running() -> list[str]:
            return [operation.method for operation in list(self._call.operations) if operation.counts_as_running]

        self._call.board.wait_for(lambda: not running(), timeout, lambda: f"the end of {', '.join(running())}")

    def wait_until_doing(self, method: str, timeout: float = 10.0) -> None:
        """Wait until an operation started by ``method`` is running on the call. The operation then receives this party's digits
        and speech.

        :param method: RELAY method, as in :attr:`activities`.
        :param timeout: maximum time to wait, in seconds.
        :raises InvalidParameter: the method does not start an operation on a call.
        :raises CallEnded: the call ended before the operation started.
        :raises WaitTimeout: the operation did not start within ``timeout`` seconds.
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
