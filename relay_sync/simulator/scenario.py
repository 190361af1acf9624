"""The people of a simulated telephone network: who calls and writes to our side, and what becomes of those that it
calls and writes to. All usable from any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from ..errors import InvalidParameter
from ..params import values
from .core import given
from .core.settings import Settings
from .media.voice import SILENCE, load_voice
from .methods.request import Platform
from .people.directory import ExpectedPhone
from .people.network import NetworkCall, device
from .people.party import Audio, Party, Speech, behaviour
from .people.phone import Phone
from .people.post import WAYS, MessagePlan

__all__ = ["Story"]

_T = TypeVar("_T")


class Story:
    """The part of :class:`Simulator` in which a scenario is told."""

    settings: Settings
    _platform: Platform

    def _do(self, fn: Callable[..., _T], *args: Any, timeout: float = 5.0) -> _T:
        raise NotImplementedError

    # -- calls ---------------------------------------------------------------------------------------------------------

    def call(
        self,
        *,
        to: str,
        from_: str,
        context: str = "default",
        says: Speech = None,
        hears: Audio = None,
        presses: str | Sequence[str] = (),
        hangs_up_after: float | str | None = None,
        hangs_up_after_speaking: bool = False,
        answered_by: str = "human",
        beep: bool = True,
        silent: bool = False,
        ring_timeout: float = 60.0,
        timeout: float = 5.0,
    ) -> Phone:
        """Somebody calls. The call is offered to one client of the context, or waits for one.

        :param to: the number or ``sip:`` address called. :param from_: the caller's.
        :param says: what the caller says (the ``inbound`` track): a WAV's path, PCM16 bytes at 8 kHz, or ``None`` for
            silence. Or a list of sentences: one for each time that something listens to words.
        :param hears: what is said to him (the ``outbound`` track).
        :param presses: the keys he presses when something listens to keys; a list has some for each time.
        :param hangs_up_after: seconds after the answer, or words: he hangs up when they were played to him (a part of a
            text, of a URL, or a ringtone's name). With ``media="fast"`` seconds in which something is played, recorded or
            the like pass as quickly as that does, so that he leaves in the middle of it; others pass by the clock.
        :param hangs_up_after_speaking: the caller hangs up once the first stream has told all that he says.
        :param answered_by: what detectors find: ``human``, ``machine`` (``beep``: with a beep), ``fax`` or ``nobody``.
        :param silent: he never does anything by himself; so what waits for him need not wait long (what waits for somebody
            else, such as a queue, does). The same goes for one with ``presses`` or sentences, once they are used up.
        :param ring_timeout: seconds until the caller gives up if nobody answers.
        :param timeout: seconds for the simulator to take it up.
        :raises InvalidParameter: audio of another kind, or what is neither a number nor a ``sip:`` address; a caller may be
            ``anonymous``. :raises WaitTimeout: it was not taken up in time.
        """
        ring_timeout = given.seconds("ring_timeout", ring_timeout, above=True)
        plan = behaviour(
            says=says, presses=presses, hangs_up_after=hangs_up_after, answered_by=answered_by, beep=beep, silent=silent
        )
        call = NetworkCall(
            node_id=self.settings.node,
            device=device(values.party("to", to, optional=False) or "", values.caller("from_", from_) or ""),
            context=given.words("context", context),
            says=plan.voice,
            hears=load_voice(hears, "hears"),
            party=Party(plan),
            hangs_up_after_speaking=given.yes("hangs_up_after_speaking", hangs_up_after_speaking),
        )
        self._do(self._platform.network.ring, call, ring_timeout, timeout=timeout)
        return self._phone(call)

    @property
    def phones(self) -> list[Phone]:
        """The calls that are not over."""
        return [self._phone(call) for call in list(self._platform.network.calls.values())]

    def _phone(self, call: NetworkCall) -> Phone:
        return Phone(self._platform.world, self._platform.network, call)

    def expect_phone(
        self,
        number: str,
        *,
        answers_after: float | None = 1.0,
        busy: bool = False,
        no_answer: bool = False,
        declines: bool = False,
        unreachable: bool = False,
        answered_by: str = "human",
        beep: bool = True,
        presses: str | Sequence[str] = (),
        says: Speech = None,
        hangs_up_after: float | str | None = None,
        silent: bool = False,
        times: int | None = None,
    ) -> ExpectedPhone:
        """Say what the phone at a number does when our side dials it or connects a call to it.

        ::

            sim.expect_phone("+15550101", busy=True)
            agent = sim.expect_phone("+15550102", answers_after=5, presses="1", hangs_up_after="Goodbye")

        A number that nothing was said about is answered after a second by a person who says nothing.

        :param number: the number, or the ``sip:`` or other address, as it is dialled.
        :param answers_after: seconds of ringing; ``None``: until :meth:`Phone.answer` or :meth:`Phone.hang_up`.
        :param busy: it is engaged. :param no_answer: it rings, and nobody comes. :param declines: who should answer
            after that time rejects the call. :param unreachable: there is no such phone. One of these at most.
        :param times: for how many calls this holds; then what was said before, or next, counts. ``None``: for all.

        The other parameters are those of :meth:`call`.

        :raises InvalidParameter: a value that cannot be right.
        """
        plan = behaviour(
            answers_after=answers_after,
            busy=busy,
            no_answer=no_answer,
            declines=declines,
            unreachable=unreachable,
            answered_by=answered_by,
            beep=beep,
            presses=presses,
            says=says,
            hangs_up_after=hangs_up_after,
            silent=silent,
        )
        check = values.address if "/" in str(number) else values.party
        dialed = check("number", number, optional=False) or ""
        return self._platform.directory.add(dialed, plan, given.times(times))

    # -- sounds --------------------------------------------------------------------------------------------------------

    def expect_sound(self, url: str, sound: float | Audio = None) -> None:
        """Say what is behind a URL that our side plays. The simulator fetches nothing; sounds it was not told of last
        three seconds.

        :param sound: seconds, or audio (a WAV's path, or PCM16 bytes at 8 kHz); ``None``: it cannot be played.
        :raises InvalidParameter: a length of 0 or less, or audio of another kind.
        """
        url = given.name_of("url", url)
        seconds: float | None = None
        voice = SILENCE
        if isinstance(sound, int | float):
            seconds = float(given.seconds("sound", sound, above=True))
        elif sound is not None:
            voice = load_voice(sound, "sound")
            seconds = voice.duration
        self._platform.sounds.learn(url, seconds, voice)

    # -- messages and tasks --------------------------------------------------------------------------------------------

    def expect_message(
        self,
        to: str,
        *,
        ends: str = "delivered",
        reason: str = "",
        before_reply: bool = False,
        times: int | None = None,
    ) -> None:
        """Say what becomes of messages that our side sends to a number. All others are delivered.

        :param ends: the state they end in: ``delivered``, ``undelivered`` or ``failed``; or ``queued``, ``initiated`` or
            ``sent``, beyond which nothing more is heard of them. :param reason: why, told with that state.
        :param before_reply: the first state is told before the request is answered, as the platform may do it.
        :param times: for how many messages this holds; ``None``: for all.
        :raises InvalidParameter: a state that there is not.
        """
        if given.words("ends", ends) not in WAYS:
            raise InvalidParameter("ends", ends, f"one of {', '.join(WAYS)}")
        to = values.phone_number("to", to, optional=False) or ""
        given.words("reason", reason)
        given.yes("before_reply", before_reply)
        plan = MessagePlan(ends=ends, reason=reason, before_reply=before_reply)
        self._platform.post.expect(to, plan, given.times(times))

    def message(
        self,
        *,
        to: str,
        from_: str,
        body: str = "",
        media: Sequence[str] = (),
        tags: Sequence[str] = (),
        context: str = "default",
        timeout: float = 5.0,
    ) -> str:
        """Somebody writes. The message goes to one client of the context, or waits for one. Returns its id."""
        to, from_ = (
            values.phone_number("to", to, optional=False) or "",
            values.sender("from_", from_, optional=False) or "",
        )

        context, body = given.words("context", context), given.words("body", body)
        urls, marks = given.lines("media", media), given.lines("tags", tags)

        def receive() -> str:
            return self._platform.post.receive(
                context, to_number=to, from_number=from_, body=body, media=urls, tags=marks
            )

        return self._do(receive, timeout=timeout)

    def task(self, message: Mapping[str, Any], *, context: str = "default", timeout: float = 5.0) -> None:
        """Somebody gives a task, as if by the REST interface. It goes to one client of the context, or waits for
        one.

        :raises InvalidParameter: it is no object that JSON has a form for.
        """
        told = values.json_object("message", message, optional=False)
        self._do(self._platform.post.task, given.words("context", context), told, timeout=timeout)
