"""Simulator methods that create inbound calls, messages and tasks, and configure how phones respond.

All methods are thread-safe.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from ..errors import InvalidParameter
from ..params import values
from .core import given
from .core.settings import Settings
from .media.live_voice import LiveVoice, check_free
from .media.voice import SILENCE, load_voice
from .methods.request import Platform
from .people.directory import ExpectedPhone
from .people.network import NetworkCall, device
from .people.party import Answerer, Audio, Party, Speech, behavior
from .people.phone import STATES, Phone, State
from .people.post import WAYS, MessagePlan

__all__ = ["Story"]

_T = TypeVar("_T")


def _call_id(call_id: object) -> str:
    """Check a call ID. If it is ``None``, generate one."""
    return str(uuid.uuid4()) if call_id is None else given.name_of("call_id", call_id)


class Story:
    """:class:`Simulator` mixin with methods for calls, phones, sounds and messages."""

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
        says: Speech | LiveVoice = None,
        hears: Audio = None,
        presses: str | Sequence[str] = (),
        hangs_up_after: float | str | None = None,
        hangs_up_after_speaking: bool = False,
        answered_by: Answerer | str = "human",
        beep: bool = True,
        silent: bool = False,
        ring_timeout: float = 60.0,
        call_id: str | None = None,
        session: str | None = None,
        project: str | None = None,
        rings: bool = True,
        timeout: float = 5.0,
    ) -> Phone:
        """Place an inbound call to the application.

        The simulator offers the call to one client that receives the context. If no such client is connected, the call waits
        for one until ``ring_timeout`` expires.

        :param to: called number or ``sip:`` address.
        :param from_: caller's number or ``sip:`` address, or ``anonymous``.
        :param context: the call's context. Only clients that receive this context are offered the call.
        :param says: caller's speech, sent on streams' ``inbound`` track: WAV file path, PCM16 bytes at 8 kHz, or ``None`` for
            silence. A list of sentences answers speech prompts instead, one sentence per prompt. A :class:`LiveVoice` is fed
            during the call.
        :param hears: audio that the caller hears, sent on streams' ``outbound`` track: WAV file path, PCM16 bytes at 8 kHz, or
            ``None`` for silence.
        :param presses: digits that the caller presses when the application collects digits. A list contains the digits for each
            prompt in turn.
        :param hangs_up_after: when the caller hangs up. A number is a delay after the answer, in seconds. A string is a cue:
            the caller hangs up after a playback whose text, URL or ringtone name contains it. With ``media="fast"``, the delay
            passes at media speed while a playback or recording is running.
        :param hangs_up_after_speaking: whether the caller hangs up when the first stream has sent all of ``says``. If the streams
            end earlier, for example because the program was killed, the caller hangs up when the rest would have been said.
        :param answered_by: who answers, as reported by detectors: ``human``, ``machine``, ``fax`` or ``nobody``.
        :param beep: whether a ``machine`` beeps after its greeting.
        :param silent: whether the caller never reacts. Timeouts that wait for the caller then expire immediately, as they do
            once all digits in ``presses`` or all sentences in ``says`` have been used. Timeouts that wait for another party,
            such as an agent in a queue, are not shortened.
        :param timeout: maximum time to wait for the simulator to place the call, in seconds.
        :param ring_timeout: time after which the caller abandons an unanswered call, in seconds.
        :param call_id: ID of the call; ``None`` generates one.
        :param session: ID of the only session that the call is offered to, whatever contexts it receives; see :attr:`sessions`.
        :param project: project that the call belongs to; ``None`` allows clients of all projects.
        :param rings: whether the call's state changes to ``ringing`` when a client is offered the call. With ``False``, it stays
            ``created`` until the client answers it.
        :return: the caller's phone.
        :raises InvalidParameter: a value is invalid, another call has this ID, or the audio format is not supported.
        :raises WaitTimeout: the simulator did not place the call within ``timeout`` seconds.
        """
        ring_timeout = given.seconds("ring_timeout", ring_timeout, above=True)
        live = says if isinstance(says, LiveVoice) else None
        recorded = None if isinstance(says, LiveVoice) else says
        if live is not None:
            check_free("says", live, self.settings)
            if hangs_up_after_speaking:
                raise InvalidParameter("hangs_up_after_speaking", True, "False with a LiveVoice, which has no end")
        plan = behavior(
            says=recorded,
            presses=presses,
            hangs_up_after=hangs_up_after,
            answered_by=answered_by,
            beep=beep,
            silent=silent,
        )
        call = NetworkCall(
            node_id=self.settings.node,
            device=device(values.party("to", to, optional=False) or "", values.caller("from_", from_) or ""),
            context=given.words("context", context),
            says=plan.voice if live is None else live,
            hears=load_voice(hears, "hears"),
            party=Party(plan),
            hangs_up_after_speaking=given.yes("hangs_up_after_speaking", hangs_up_after_speaking),
            project="" if project is None else given.name_of("project", project),
            rings=given.yes("rings", rings),
            call_id=_call_id(call_id),
        )
        if session is not None:
            given.name_of("session", session)

        def ring() -> None:
            if session is not None:
                call.only_for = self._platform.world.named_session(session)
            self._platform.network.ring(call, ring_timeout)
            if live is not None:
                live.attach(self._platform.world, call)

        self._do(ring, timeout=timeout)
        return self._phone(call)

    def add_call(
        self,
        *,
        session: str,
        to: str,
        from_: str,
        call_id: str | None = None,
        node_id: str | None = None,
        state: State | str = "answered",
        direction: Literal["inbound", "outbound"] | str = "inbound",
        tag: str = "",
        context: str = "default",
        timeout: float = 5.0,
    ) -> Phone:
        """Add a call that a client controls, without sending an event.

        The simulator then accepts the client's commands for the call. The test notifies the client of the call itself, with
        :meth:`send_event` or :meth:`send_frame`.

        :param session: ID of the session that controls the call; see :attr:`sessions`.
        :param to: called number or ``sip:`` address.
        :param from_: caller's number or ``sip:`` address, or ``anonymous``.
        :param call_id: ID of the call; ``None`` generates one.
        :param node_id: node ID of the call; ``None`` is the simulator's.
        :param state: ``created``, ``ringing``, ``answered`` or ``ending``.
        :param direction: ``inbound`` or ``outbound``.
        :param tag: tag of the dial that the call belongs to; ``""`` for none.
        :param context: the call's context.
        :param timeout: maximum time to wait for the simulator to add the call, in seconds.
        :return: the phone of the party at the far end.
        :raises InvalidParameter: a value is invalid, the session is unknown, or another call has this ID.
        :raises WaitTimeout: the simulator did not add the call within ``timeout`` seconds.
        """
        if state not in STATES or state == "ended":
            raise InvalidParameter("state", state, f"one of {', '.join(STATES[:-1])}")
        if direction not in ("inbound", "outbound"):
            raise InvalidParameter("direction", direction, "'inbound' or 'outbound'")
        given.name_of("session", session)
        call = NetworkCall(
            node_id=self.settings.node if node_id is None else given.name_of("node_id", node_id),
            device=device(values.party("to", to, optional=False) or "", values.caller("from_", from_) or ""),
            context=given.words("context", context),
            state=state,
            direction=direction,
            tag=given.words("tag", tag),
            call_id=_call_id(call_id),
        )

        def add() -> None:
            owner = self._platform.world.named_session(session)
            call.owner, call.project = owner, owner.project
            self._platform.network.adopt(call)

        self._do(add, timeout=timeout)
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
        answered_by: Answerer | str = "human",
        beep: bool = True,
        presses: str | Sequence[str] = (),
        says: Speech = None,
        hangs_up_after: float | str | None = None,
        silent: bool = False,
        times: int | None = None,
    ) -> ExpectedPhone:
        """Configure how the phone at a number responds when the application dials it or connects a call to it.

        ::

            sim.expect_phone("+15550101", busy=True)
            agent = sim.expect_phone("+15550102", answers_after=5, presses="1", hangs_up_after="Goodbye")

        By default, a phone rings for one second and then answers, and the callee stays silent. At most one of ``busy``,
        ``no_answer``, ``declines`` and ``unreachable`` may be true.

        :param number: the phone's number, ``sip:`` address or other address, exactly as the application dials it.
        :param answers_after: ringing time before the phone answers, in seconds. If ``None``, it rings until
            :meth:`Phone.answer` or :meth:`Phone.hang_up` is called.
        :param busy: whether the phone is busy.
        :param no_answer: whether the phone rings without being answered.
        :param declines: whether the phone declines the call after ``answers_after`` seconds.
        :param unreachable: whether the number does not exist.
        :param answered_by: who answers, as reported by detectors: ``human``, ``machine``, ``fax`` or ``nobody``.
        :param beep: whether a ``machine`` beeps after its greeting.
        :param presses: digits that the callee presses when the application collects digits. A list contains the digits for each
            prompt in turn.
        :param says: callee's speech: WAV file path, PCM16 bytes at 8 kHz, ``None`` for silence, or a list of sentences, one for
            each speech prompt.
        :param hangs_up_after: when the callee hangs up. A number is a delay after the answer, in seconds. A string is a cue:
            the callee hangs up after a playback whose text, URL or ringtone name contains it.
        :param silent: whether the callee never reacts. Timeouts that wait for the callee then expire immediately.
        :param times: number of calls that use this configuration; ``None`` applies it to all calls. Configurations with a limit
            are used first, in the order they were added.
        :return: the expected phone, which records the calls that it receives.
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

    def forget_phone(self, phone: ExpectedPhone) -> None:
        """Remove a phone that :meth:`expect_phone` has set up. Its calls continue. Later calls use the default behavior.

        :param phone: the phone.
        :raises InvalidParameter: ``phone`` is not an :class:`ExpectedPhone`.
        """
        if not isinstance(phone, ExpectedPhone):
            raise InvalidParameter("phone", phone, "an ExpectedPhone")
        self._platform.directory.remove(phone)

    # -- sounds --------------------------------------------------------------------------------------------------------

    def expect_sound(self, url: str, sound: float | Audio = None) -> None:
        """Set the duration or audio for a URL that the application plays.

        The simulator does not download anything. URLs without a configured sound play for three seconds.

        :param url: the sound's URL, exactly as the application plays it.
        :param sound: duration in seconds, or audio as a WAV file path or PCM16 bytes at 8 kHz. If ``None``, playing the URL
            fails.
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
        """Set the outcome of messages that the application sends to a number. By default, every message is delivered.

        :param to: recipient's number.
        :param ends: last state that the simulator reports. The final states are ``delivered``, ``undelivered`` and ``failed``.
            With ``queued``, ``initiated`` or ``sent``, the message stays in that state.
        :param reason: reason to include in the last state's event; ``""`` omits it.
        :param before_reply: whether to send the first state event before replying to the request. The platform allows this
            order.
        :param times: number of messages that have this outcome; ``None`` applies it to all messages.
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
        """Send an inbound message to the application.

        The simulator delivers the message to one client that receives the context. If no such client is connected, the message
        waits for one.

        :param to: recipient's number.
        :param from_: sender's number or short code.
        :param body: message text.
        :param media: URLs of the attached media.
        :param tags: message tags.
        :param context: message context.
        :param timeout: maximum time to wait for the simulator to accept the message, in seconds.
        :return: the message ID.
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
        """Send a task to the application, as the REST API does.

        The simulator delivers the task to one client that receives the context. If no such client is connected, the task waits
        for one.

        :param message: task contents, which must be serializable as a JSON object.
        :param context: task context.
        :param timeout: maximum time to wait for the simulator to accept the task, in seconds.
        :raises InvalidParameter: the message cannot be serialized as a JSON object.
        :raises WaitTimeout: the simulator did not accept the task within ``timeout`` seconds.
        """
        content = values.json_object("message", message, optional=False)
        self._do(self._platform.post.task, given.words("context", context), content, timeout=timeout)
