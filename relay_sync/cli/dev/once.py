"""The call that ``relay-sync dev --once`` places."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from attrs import define, field

from ...errors import RelayError
from ...simulator import Entry, Phone, Simulator, speech
from ...simulator.core.journal import Reader
from ...simulator.media.voice import load_voice
from ..arguments import CALLER, OFFICE

__all__ = ["OnceCall"]

#: Time limit of the call, in seconds.
LONGEST: Final = 60.0
#: Time that the call may wait for a client that has subscribed to its context, in seconds.
UNOFFERED: Final = 2.0
#: A caller whose call is not streamed hangs up this time after the length of the speech, in seconds.
UNSTREAMED: Final = 1.0
#: Common beginning of the event types of a call, which the timeline leaves out.
_EVENTS: Final = "calling.call."
#: Parameters of events that contain a state.
_STATES: Final = ("call_state", "connect_state", "state")


@define(eq=False)
class OnceCall:
    """A call that speaks the included sample, and its timeline.

    :param simulator: the simulator.
    :param context: context of the call.
    :param show: called with each line of the timeline.
    :param fast: whether speech takes almost no time.

    :ivar failure: why the call is a failure, or ``""``. It is valid when :meth:`look` has returned true.
    """

    _simulator: Simulator
    _context: str
    _show: Callable[[str], None]
    _fast: bool = field(kw_only=True)
    failure: str = field(default="", init=False)
    _phone: Phone = field(init=False, repr=False)
    _reader: Reader = field(init=False, repr=False)
    _began: float = field(init=False)
    _answered: float | None = field(default=None, init=False)
    _seconds: float = field(init=False)

    @property
    def answered(self) -> bool:
        """Whether the call was answered."""
        return self._answered is not None

    def place(self) -> None:
        """Place the call."""
        voice = load_voice(speech.caller(), "says")
        self._seconds = 0.0 if self._fast else voice.duration
        self._reader = Reader(self._simulator.journal)
        self._reader.fresh()
        self._began = time.monotonic()
        self._phone = self._simulator.call(
            to=OFFICE, from_=CALLER, context=self._context, says=voice, hangs_up_after_speaking=True
        )
        self._show(f"{0:9.3f} s  {CALLER} calls {OFFICE}, context {self._context}")

    def look(self) -> bool:
        """Show what has happened since the last call of this method. Return whether the call has ended."""
        phone, ended = self._phone, self._phone.state == "ended"
        waits = phone.waits_because
        for _, entry in self._reader.fresh():
            self._look_at(entry)
        now = time.monotonic()
        if waits and now - self._began >= UNOFFERED:
            self.hang_up()
            self.failure = (
                f"the call was not answered: {waits}; pass --context, or add the context to those of RelayClient"
            )
            return True
        if ended:
            self.failure = self._judge()
            return True
        if now - self._began >= LONGEST:
            self.hang_up()
            self.failure = f"the call did not end within {LONGEST:g} s"
            return True
        if self._answered is not None and not phone.streams and now - self._answered >= self._seconds + UNSTREAMED:
            self.hang_up()  # The caller would otherwise wait for a stream to carry the speech.
        return False

    def hang_up(self) -> None:
        """Hang up the caller's phone."""
        with suppress(RelayError):
            self._phone.hang_up()

    def _look_at(self, entry: Entry) -> None:
        if entry.params.get("call_id") != self._phone.call_id:
            return
        if entry.direction == "in" and entry.method:
            self._line(entry, f"command: {entry.method}")
        elif entry.direction == "out" and entry.event_type:
            state = next((entry.params[name] for name in _STATES if entry.params.get(name)), "")
            if state == "answered" and self._answered is None:
                self._answered = time.monotonic()
            self._line(entry, f"event:   {entry.event_type.removeprefix(_EVENTS)} {state}".rstrip())

    def _line(self, entry: Entry, what: str) -> None:
        self._show(f"{max(0.0, entry.time - self._began):9.3f} s  {what}")

    def _judge(self) -> str:
        """Return why the call is a failure, or ``""``."""
        if self._answered is None:
            return f"the call was not answered ({self._phone.end_reason})"
        if self._phone.end_reason == "error":
            return "the program ended the call with the reason error, as it does if a handler raises an exception"
        for stream in self._phone.streams:
            if stream.error:
                return f"a stream failed: {stream.end_reason}"
        return ""
