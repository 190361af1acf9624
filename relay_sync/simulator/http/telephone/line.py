"""One browser telephone at the WebSocket ``/simulator/telephone``.

A telephone is registered at a number: it rings when the application dials the number, and it can place calls. It has one call at
a time and is busy for others. When the WebSocket closes, for example because the page is reloaded, its call ends.

Text messages are JSON objects with a ``type``. From the telephone:

``number``
    Register at ``number`` instead. The options of the first message, ``number`` and ``rate``, do this at the start.
``call``
    Call ``to``, with ``context`` (``"default"`` if missing).
``answer``, ``hangup``
    Answer the ringing call. End the call or decline it.
``press``, ``say``
    Press ``digits``. Say ``text`` to operations that recognize speech.
``mute``, ``hold``
    Stop or resume sending, with ``on``. On hold, the telephone receives no audio either.

To the telephone:

``ready``
    The telephone is registered at ``number``; audio must have ``rate`` Hz.
``call``
    The call's ``call_id``, ``direction`` (``in`` or ``out``, seen from the telephone), ``number`` of the other side, ``state``,
    and ``reason`` if it has ended.
``status``
    Why the call waits (``waits``), what the application does on it (``doing``), whether the application holds it (``on_hold``),
    and how often audio of the telephone came too late (``late``). Sent when something changes.
``heard``
    ``text`` of a prompt, because the simulator does not synthesize speech, and the prompt's ``index`` in this call. The text
    grows while the prompt is played.
``notice``
    ``text`` of the last notice of a ``kind`` that concerns no call. Later notices are live events.
``error``
    ``message``: why the last message had no effect.

Binary messages carry 16-bit little-endian PCM. From the telephone, it follows the position of the first sample (a 32-bit
little-endian count). To the telephone, it follows the position in milliseconds and the sample rate (32 bits each).

All code in this module runs on the loop thread.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

from attrs import define, field

from ....errors import InvalidParameter, RelayError
from ....server.connection import Connection
from ....server.loop import Timer
from ....text.json_text import read_strictly
from ...core import frames, given
from ...media.live_ear import LiveEar, LiveSound
from ...media.live_voice import LiveVoice
from ...people.directory import ExpectedPhone
from ...people.phone import Phone
from ...server import Simulator

__all__ = ["NUMBER", "PATH", "RATE", "Telephone", "open_telephone"]

PATH: Final = "/simulator/telephone"
#: Number of a telephone that does not choose one.
NUMBER: Final = "+15550123"
#: Sample rate of a telephone that does not choose one, in Hz.
RATE: Final = 16_000
#: Interval in seconds at which changes of a call that nothing announces are looked for.
GLANCE: Final = 0.25
#: Unsent bytes, about two seconds of audio, beyond which frames for a telephone are dropped.
MOST_UNSENT: Final = 2**16
_POSITION: Final = struct.Struct("<I")
_HEAD: Final = struct.Struct("<II")


@define(eq=False, kw_only=True)
class Telephone:
    """A browser telephone, from the first message to the end of its WebSocket.

    :ivar number: the number at which the telephone rings.
    :ivar rate: sample rate of the audio that the telephone sends, in Hz.
    """

    _sim: Simulator = field(repr=False)
    _connection: Connection = field(repr=False)
    number: str
    rate: int = RATE
    _registered: ExpectedPhone | None = field(default=None, init=False, repr=False)
    _phone: Phone | None = field(default=None, init=False, repr=False)
    _incoming: bool = field(default=False, init=False, repr=False)
    _voice: LiveVoice | None = field(default=None, init=False, repr=False)
    _ear: LiveEar | None = field(default=None, init=False, repr=False)
    _timer: Timer | None = field(default=None, init=False, repr=False)
    _status: dict[str, Any] = field(factory=dict, init=False, repr=False)
    _heard: list[str] = field(factory=list, init=False, repr=False)
    _muted: bool = field(default=False, init=False, repr=False)
    _holding: bool = field(default=False, init=False, repr=False)

    # -- the WebSocket -------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Register the telephone, and tell it so. Notices that concern no call follow."""
        self._register(self.number)
        notices = {each.kind: each.text for each in self._sim.journal.notices if not each.call_id}
        for kind, text in notices.items():
            self._tell("notice", kind=kind, text=text)

    def received(self, message: str | bytes) -> None:
        """Handle a message from the telephone.

        :param message: the message.
        """
        if isinstance(message, bytes):
            if self._voice is not None and len(message) > _POSITION.size and len(message) % 2 == 0:
                self._voice.feed(message[_POSITION.size :], _POSITION.unpack_from(message)[0])
            return
        try:
            self._act(message)
        except RelayError as problem:
            self._tell("error", message=str(problem))

    def closed(self) -> None:
        """End the telephone's call, and stop ringing at its number."""
        if self._registered is not None:
            self._sim.forget_phone(self._registered)
        if self._phone is not None:
            self._phone.hang_up()
        self._forget()

    def _act(self, message: str) -> None:
        try:
            found = read_strictly(message)
        except (ValueError, RecursionError):
            found = None
        act = _ACTS.get(str(found.get("type"))) if isinstance(found, dict) else None
        if act is None:
            self._tell("error", message=f"send a JSON object with a type: {', '.join(_ACTS)}")
        else:
            act(self, found)

    def _tell(self, kind: str, /, **members: Any) -> None:
        self._connection.send(frames.dump({"type": kind, **members}))

    # -- what the telephone does ---------------------------------------------------------------------------------------

    def _register(self, number: str) -> None:
        new = self._sim.expect_phone(number, answers_after=None)
        if self._registered is not None:
            self._sim.forget_phone(self._registered)
        self._registered, self.number = new, new.number
        new.on_call = self._rings
        self._tell("ready", number=self.number, rate=self.rate)

    def _number(self, asked: dict[str, Any]) -> None:
        self._register(given.words("number", asked.get("number")))

    def _call(self, asked: dict[str, Any]) -> None:
        if self._phone is not None:
            self._tell("error", message="this telephone has a call; hang up first")
            return
        voice = LiveVoice(self.rate)
        context = given.words("context", asked.get("context", "default"))
        to = given.words("to", asked.get("to"))
        phone = self._sim.call(to=to, from_=self.number, context=context, says=voice)
        self._take(phone, incoming=False)
        self._connect(voice)

    def _answer(self, _: dict[str, Any]) -> None:
        phone = self._phone
        if phone is None or not self._incoming or phone.state not in ("created", "ringing"):
            self._tell("error", message="this telephone does not ring")
            return
        voice = LiveVoice(self.rate)
        phone.speak(voice)
        self._connect(voice)
        phone.answer()

    def _hangup(self, _: dict[str, Any]) -> None:
        phone = self._phone
        if phone is not None:
            phone.hang_up("decline" if self._incoming and phone.state in ("created", "ringing") else "hangup")

    def _press(self, asked: dict[str, Any]) -> None:
        if self._phone is not None:
            self._phone.press(given.words("digits", asked.get("digits")))

    def _say(self, asked: dict[str, Any]) -> None:
        if self._phone is not None:
            self._phone.say(given.words("text", asked.get("text")))

    def _mute(self, asked: dict[str, Any]) -> None:
        self._muted = given.yes("on", asked.get("on"))
        self._switch()

    def _hold(self, asked: dict[str, Any]) -> None:
        self._holding = given.yes("on", asked.get("on"))
        self._switch()

    def _switch(self) -> None:
        if self._voice is not None and self._ear is not None:
            self._voice.muted = self._muted or self._holding
            self._ear.paused = self._holding

    # -- the call ------------------------------------------------------------------------------------------------------

    def _rings(self, phone: Phone) -> None:
        """Ring for a call from the application."""
        if self._phone is not None:
            self._connection.loop.call_soon(phone.hang_up, "busy")  # the network does not know the call yet
        else:
            self._take(phone, incoming=True)

    def _take(self, phone: Phone, *, incoming: bool) -> None:
        self._phone, self._incoming = phone, incoming
        self._status, self._heard, self._muted, self._holding = {}, [], False, False
        phone.on_state(lambda state: self._moved(phone, state))
        self._moved(phone, phone.state)

    def _connect(self, voice: LiveVoice) -> None:
        if self._phone is not None:
            self._voice = voice
            self._ear = self._phone.listen(self.rate, on_sound=self._play)

    def _moved(self, phone: Phone, state: str) -> None:
        if phone is not self._phone:
            return
        if state == "ended":
            self._look()
        direction = "in" if self._incoming else "out"
        reason = {"reason": phone.end_reason} if state == "ended" else {}
        self._tell(
            "call", call_id=phone.call_id, direction=direction, number=phone.application_number, state=state, **reason
        )
        if state == "ended":
            self._forget()
        elif self._timer is None:
            self._look_again()

    def _forget(self) -> None:
        self._phone = self._voice = self._ear = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_again(self) -> None:
        self._look()
        self._timer = self._connection.loop.call_later(GLANCE, self._look_again)

    def _look(self) -> None:
        """Tell the telephone what has changed on its call."""
        phone = self._phone
        if phone is None:
            return
        heard = [item.words for item in phone.heard]
        for index, text in enumerate(heard):
            if self._heard[index : index + 1] != [text]:
                self._tell("heard", index=index, text=text)
        self._heard = heard
        status = {
            "waits": phone.waits_because,
            "doing": phone.activities,
            "on_hold": phone.on_hold,
            "late": self._voice.late if self._voice is not None else 0,
        }
        if status != self._status:
            self._status = status
            self._tell("status", **status)

    def _play(self, sound: LiveSound) -> None:
        if self._connection.buffered < MOST_UNSENT:
            self._connection.send(_HEAD.pack(round(sound.at * 1000) % 2**32, sound.rate) + sound.pcm)


_ACTS: Final[dict[str, Callable[[Telephone, dict[str, Any]], None]]] = {
    "number": Telephone._number,
    "call": Telephone._call,
    "answer": Telephone._answer,
    "hangup": Telephone._hangup,
    "press": Telephone._press,
    "say": Telephone._say,
    "mute": Telephone._mute,
    "hold": Telephone._hold,
}


def open_telephone(simulator: Simulator, connection: Connection, options: dict[str, Any]) -> Telephone:
    """Begin a telephone over a connection whose key was right.

    :param simulator: the simulator.
    :param connection: the WebSocket.
    :param options: further members of the first message: ``number`` and ``rate``.
    :raises InvalidParameter: an option is unknown or invalid.
    """
    for name in options:
        if name not in ("number", "rate"):
            raise InvalidParameter("option", name, "number or rate")
    telephone = Telephone(
        sim=simulator,
        connection=connection,
        number=given.words("number", options.get("number", NUMBER)),
        rate=LiveVoice(options.get("rate", RATE)).rate,  # refuses other rates
    )
    telephone.begin()
    return telephone
