"""What a client does with text messages: send them, and take those that come in; and tasks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ..call.actions import OnCompleted
from ..deadline import Deadline
from ..errors import ConnectionLost, InvalidParameter
from ..params import values
from ..protocol.command import loosely
from ..threads.lanes import InContext, warn_replaced
from .messages import Message, MessageDesk

if TYPE_CHECKING:
    from .link import Link
    from .router import Router

__all__ = ["Messaging"]

H = TypeVar("H", bound=Callable[..., object])


class Messaging:
    """The part of :class:`RelayClient` that sends and receives messages."""

    if TYPE_CHECKING:
        _link: Link
        _router: Router

    def on_message(self, handler: H = values.MISSING) -> H:
        """Register the handler of inbound messages; a second one replaces the first. Usable as a decorator.

        It takes a :class:`Message`, and may block: up to 16 run at the same time, in no fixed order.

        :raises InvalidParameter: for a coroutine function: remove its ``async``.
        """
        checked = InContext(values.handler("handler", handler, ("message",)))
        warn_replaced("on_message", self._router.messages.on_message, checked)
        self._router.messages.on_message = checked
        return handler

    def on_task(self, handler: H = values.MISSING) -> H:
        """Register the handler of tasks; a second one replaces the first. Usable as a decorator.

        It takes a :class:`TaskEvent` with ``context`` and ``message``, and runs on the same threads as ``on_message``.

        :raises InvalidParameter: for a coroutine function: remove its ``async``.
        """
        checked = InContext(values.handler("handler", handler))
        warn_replaced("on_task", self._router.messages.on_task, checked)
        self._router.messages.on_task = checked
        return handler

    def send_message(
        self,
        *,
        to_number: str,
        from_number: str,
        context: str | None = None,
        body: str | None = None,
        media: Iterable[str] | None = None,
        tags: Iterable[str] | None = None,
        region: str | None = None,
        tag: str | None = None,
        send_as_mms: bool | None = None,
        status_callback: str | None = None,
        on_completed: OnCompleted | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Message:
        """Send a text message, and return it to be followed (``messaging.send``).

        :param to_number: and :param from_number: E.164. :param body: the text. :param media: at most 8 http(s) URLs; one of
            the two is needed.
        :param context: who is told of its states. Left out, it is this client alone.
        :param tags: and :param tag: labels; sources know the one or the other. :param region: where it leaves the platform.
        :param send_as_mms: even if it is short. :param status_callback: http(s) URL that is told of its states.
        :param on_completed: called once with the event that ends it, however that comes about.
        :param extra: parameters that this SDK does not know yet (templates, ``message_type``).
        :raises InvalidParameter: a value that cannot be right. :raises CommandRefused: the server does not take it.
        """
        if body is None and media is None and not extra:
            raise InvalidParameter("body", body, "given, or media, or both")
        callback = None if on_completed is None else InContext(values.handler("on_completed", on_completed))
        urls = values.texts("media", media, most=8)
        params = {
            "context": values.text("context", context) or "",
            "to_number": values.phone_number("to_number", to_number, optional=False),
            "from_number": values.sender("from_number", from_number, optional=False),
            "body": values.text("body", body),
            "media": None if urls is None else [values.http_url("media", url) for url in urls],
            "tags": values.texts("tags", tags),
            "region": values.text("region", region),
            "tag": values.text("tag", tag),
            "send_as_mms": values.flag("send_as_mms", send_as_mms),
            "status_callback": values.http_url("status_callback", status_callback),
        }
        merged = values.merge_extra(params, extra, ())
        return self._send_message(merged, callback) if merged["context"] else self._send_to_us(merged, callback)

    def _send_to_us(self, params: dict[str, Any], on_completed: InContext | None) -> Message:
        """Send a message whose states are told to this client alone: in the session whose name it carries."""
        deadline = Deadline.after(time.monotonic(), self._link.request_timeout())
        while True:
            session = self._link.connect(deadline).session
            # The number first: if another session came in between, nothing is sent.
            number, named = session.number, {**params, "context": session.protocol}
            if not named["context"]:  # a session without a name: the platform's default is all there is
                del named["context"]
            try:
                return self._send_message(named, on_completed, only_in=number)
            except ConnectionLost as error:
                if error.sent or deadline.passed(time.monotonic()):
                    raise

    def _send_message(
        self, params: dict[str, Any], on_completed: InContext | None, *, only_in: int | None = None
    ) -> Message:
        desk = self._router.messages
        message = Message(
            context=params.get("context", ""),
            direction="outbound",
            from_number=params["from_number"],
            to_number=params["to_number"],
            body=params.get("body", ""),
            media=params.get("media"),
            tags=params.get("tags"),
        )
        desk.prepare(message, self._router.callbacks.in_lane, on_completed)
        try:
            with desk.sending():
                self._link.command(
                    "messaging.send", params, only_in=only_in, on_reply=loosely(MessageDesk.taken, desk, message)
                )
        except BaseException:
            desk.not_sent(message)
            raise
        return message
