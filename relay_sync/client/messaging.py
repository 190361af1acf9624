"""Send text messages, and register handlers for inbound messages and tasks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from .. import events
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

R = TypeVar("R")


class Messaging:
    """Methods of :class:`RelayClient` that send and receive messages."""

    if TYPE_CHECKING:
        _link: Link
        _router: Router

    @values.decorator
    def on_message(self, handler: Callable[[Message], R]) -> Callable[[Message], R]:
        """Register the handler for inbound messages. This method can be used as a decorator.

        The handler may block. Up to 16 message and task handlers run concurrently, in no particular order.

        :param handler: function that accepts a :class:`Message`. If it replaces another handler, the client logs a warning.
        :raises InvalidParameter: the handler is a coroutine function or does not accept one argument.
        """
        checked = InContext(values.handler("handler", handler, ("message",)))
        warn_replaced("on_message", self._router.messages.on_message, checked)
        self._router.messages.on_message = checked
        return handler

    @values.decorator
    def on_task(self, handler: Callable[[events.TaskEvent], R]) -> Callable[[events.TaskEvent], R]:
        """Register the handler for tasks. This method can be used as a decorator.

        Task handlers and message handlers share the same threads.

        :param handler: function that accepts a :class:`TaskEvent` with ``context`` and ``message``. If it replaces another
            handler, the client logs a warning.
        :raises InvalidParameter: the handler is a coroutine function or does not accept one argument.
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
        on_completed: Callable[[events.MessageStateEvent], object] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Message:
        """Send a text message (``messaging.send``).

        This method returns when the server has accepted the message. Call :meth:`Message.wait` to wait for the delivery status.

        :param to_number: recipient's phone number: either ``+`` and digits, as in E.164, or only digits, ``*`` and ``#``. The
            client checks only this format.
        :param from_number: sender's phone number in the same format, a short code, or a sender name.
        :param context: context that receives the message's state events. By default only this client receives them.
        :param body: text of the message. Required unless ``media`` is given.
        :param media: up to 8 HTTP or HTTPS URLs of media files. Required unless ``body`` is given.
        :param tags: labels for the message.
        :param region: region from which the platform sends the message.
        :param tag: a single label. SignalWire's sources are inconsistent: some document ``tag``, others ``tags``.
        :param send_as_mms: whether to send an MMS even if the text fits in an SMS.
        :param status_callback: HTTP or HTTPS URL to which the platform posts the message's state changes.
        :param on_completed: function that is called once with the message's final event. It is also called if the session or the
            client is closed first.
        :param extra: additional command parameters, for options that this method does not support, such as templates and
            ``message_type``.
        :return: the message.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the message.
        :raises RequestTimeout: the server did not reply within ``request_timeout``. The message may still be sent.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``.sent`` is true if the server may have
            received the message.
        """
        if body is None and media is None and not extra:
            raise InvalidParameter("body", body, "a string unless media is given (pass body, media, or both)")
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
        """Send a message with this session's name as the context, so that only this client receives its state events."""
        deadline = Deadline.after(time.monotonic(), self._link.request_timeout())
        while True:
            session = self._link.connect(deadline).session
            # Read the number before the name. If a new session starts in between, the command is not sent.
            number, named = session.number, {**params, "context": session.protocol}
            if not named["context"]:  # the session has no name, so let the platform use its default context
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
