"""Scenarios: inbound calls, messages and tasks, and how the simulated network reacts to outbound ones. All methods may be called
from any thread.
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
from .people.party import Audio, Party, Speech, behavior
from .people.phone import Phone
from .people.post import WAYS, MessagePlan

__all__ = ["Story"]

_T = TypeVar("_T")


class Story:
    """The part of :class:`Simulator` that scripts callers, phones, sounds and messages."""

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
        """Place an inbound call. The call is offered to one client of the context, or waits until one connects.

        :param to: number or ``sip:`` address that is called.
        :param from_: number or ``sip:`` address of the caller, or ``anonymous``.
        :param context: context whose clients the call is offered to.
        :param says: speech of the caller (the ``inbound`` track): the path of a WAV file, PCM16 bytes at 8 kHz, or ``None`` for
            silence. A list of sentences instead answers one speech prompt each.
        :param hears: audio that the caller hears (the ``outbound`` track), in the same forms.
        :param presses: digits that the caller presses when the application collects digits; a list has one entry for each time.
        :param hangs_up_after: when the caller hangs up: seconds after the answer, or words (part of a text, a URL or a ringtone
            name) that the caller has heard. With ``media="fast"``, seconds during a playback or recording are as fast as the
            media.
        :param hangs_up_after_speaking: hang up once the first stream has sent all of ``says``.
        :param answered_by: what detectors find: ``human``, ``machine``, ``fax`` or ``nobody``.
        :param beep: whether a ``machine`` beeps after its greeting.
        :param silent: the caller never reacts, so timeouts that wait for the caller expire at once. This is also true once
            ``presses`` or the sentences of ``says`` are used up. Timeouts that wait for another party, such as a queue, still
            run.
        :param timeout: seconds to wait until the simulator has placed the call.
        :param ring_timeout: seconds until the caller gives up an unanswered call.
        :return: the caller's phone.
        :raises InvalidParameter: a value is invalid, or the audio format is not supported.
        :raises WaitTimeout: the simulator did not place the call within ``timeout`` seconds.
        """
        ring_timeout = given.seconds("ring_timeout", ring_timeout, above=True)
        plan = behavior(
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
        """The phones of all calls that have not ended."""
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
        """Set what the phone at a number does when the application dials it or connects a call to it.

        ::

            sim.expect_phone("+15550101", busy=True)
            agent = sim.expect_phone("+15550102", answers_after=5, presses="1", hangs_up_after="Goodbye")

        A number without such a setup is answered after one second by a person who says nothing. At most one of ``busy``,
        ``no_answer``, ``declines`` and ``unreachable`` may be true.

        :param number: the number, ``sip:`` address or other address, exactly as dialed.
        :param answers_after: seconds of ringing; ``None`` rings until :meth:`Phone.answer` or :meth:`Phone.hang_up`.
        :param busy: the phone is busy.
        :param no_answer: the phone rings and is never answered.
        :param declines: the call is declined after ``answers_after`` seconds.
        :param unreachable: there is no phone at this number.
        :param answered_by: what detectors find: ``human``, ``machine``, ``fax`` or ``nobody``.
        :param beep: whether a ``machine`` beeps after its greeting.
        :param presses: digits that the callee presses when the application collects digits; a list has one entry for each time.
        :param says: speech of the callee: the path of a WAV file, PCM16 bytes at 8 kHz, ``None`` for silence, or a list of
            sentences, one for each speech prompt.
        :param hangs_up_after: when the callee hangs up: seconds after the answer, or words that the callee has heard.
        :param silent: the callee never reacts, so timeouts that wait for the callee expire at once.
        :param times: number of calls that this setup applies to, after which the previous or next one applies; ``None`` for all
            calls.
        :return: the phone, which records the calls that it receives.
        :raises InvalidParameter: a value is invalid.
        """
        plan = behavior(
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
        """Set what a URL that the application plays contains. The simulator fetches nothing; any other URL plays for three
        seconds.

        :param url: the URL, exactly as the application plays it.
        :param sound: duration in seconds, or audio (the path of a WAV file, or PCM16 bytes at 8 kHz). With ``None``, playing
            the URL fails.
        :raises InvalidParameter: the duration is not positive, or the audio format is not supported.
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
        """Set what happens to messages that the application sends to a number. All other messages are delivered.

        :param to: number that the messages are sent to.
        :param ends: final state: ``delivered``, ``undelivered`` or ``failed``; or ``queued``, ``initiated`` or ``sent``, after
            which no further state is reported.
        :param reason: reason that the event of the final state carries; ``""`` for none.
        :param before_reply: send the first state before the reply to the request, as the platform may.
        :param times: number of messages that this setup applies to; ``None`` for all.
        :raises InvalidParameter: the state is unknown, or another value is invalid.
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
        """Send an inbound message. It goes to one client of the context, or waits until one connects.

        :param to: number that receives the message.
        :param from_: number or short code of the sender.
        :param body: text of the message.
        :param media: URLs of attached media.
        :param tags: tags of the message.
        :param context: context whose clients receive the message.
        :param timeout: seconds to wait until the simulator has accepted the message.
        :return: the id of the message.
        :raises InvalidParameter: a value is invalid.
        :raises WaitTimeout: the simulator did not accept the message within ``timeout`` seconds.
        """
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
        """Deliver a task, as the REST interface does. It goes to one client of the context, or waits until one connects.

        :param message: contents of the task: a JSON object.
        :param context: context whose clients receive the task.
        :param timeout: seconds to wait until the simulator has accepted the task.
        :raises InvalidParameter: the message is not a JSON object.
        :raises WaitTimeout: the simulator did not accept the task within ``timeout`` seconds.
        """
        told = values.json_object("message", message, optional=False)
        self._do(self._platform.post.task, given.words("context", context), told, timeout=timeout)
