"""Base class for observers."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .records import CallRecord

__all__ = ["Observer"]

# Calls, events, messages and streams are defined in higher layers. "Any" lets a subclass annotate the concrete type.


class Observer:
    """Base class for observers of a client or audio server. Subclass it and override the methods that you need.

    ::

        class Log(Observer):
            def call_ended(self, record):
                print(record.call_id, record.end_reason)

        remove = client.observe(Log())      # also audio.observe(...)

    Methods that are not overridden have no overhead.

    Except for the two ``around_...`` methods, all methods run on a single thread, ``relay-observers``. They are called one at a
    time and in order, in the context (``contextvars``) in which ``observe`` was called. They may block and use the client.
    Notifications are queued in the meantime. When 10,000 notifications are queued, new ones are dropped and counted in
    :attr:`dropped`, and a warning is logged at most once a minute. Exceptions are logged, at most once a minute for each method
    and exception type, and have no other effect.

    The notifications for a call arrive in this order: ``call_offered``, ``call_started``, events, ``call_ended``. There are three
    exceptions. When you dial, a leg's events may arrive before ``call_started``, because that notification is sent when the leg
    is answered. A handler may start before ``call_started`` is delivered. If a call ends while a command is pending,
    ``command_done`` may arrive after ``call_ended``.

    ``around_handler`` and ``around_command`` run in the thread that runs the handler or sends the command. Their context managers
    cannot suppress or replace an exception raised by the handler or command. If they raise an ``Exception``, it is logged and has
    no other effect.

    :ivar dropped: number of dropped notifications.
    """

    dropped: int = 0

    # -- calls -----------------------------------------------------------------------------------------------------------

    def call_offered(self, call: Any) -> None:
        """Called for each new inbound or outbound call, including calls that are returned to the platform.

        This is the first notification for every call.

        :param call: the :class:`Call`. ``call.direction`` is ``inbound`` or ``outbound``.
        """

    def call_started(self, call: Any) -> None:
        """Called when the ``on_call`` handler of a call starts, or when a dialed leg is answered.

        :param call: the :class:`Call`.
        """

    def call_event(self, call: Any, event: Any) -> None:
        """Called after an event has updated a call's state.

        :param call: the :class:`Call`.
        :param event: the :class:`RelayEvent`.
        """

    def call_ended(self, record: CallRecord) -> None:
        """Called when a call has ended or this client no longer controls it. This is the last notification for every call.

        :param record: summary of the call.
        """

    # -- commands and callbacks ------------------------------------------------------------------------------------------

    def command_done(self, method: str, call_id: str, seconds: float, error: BaseException | None) -> None:
        """Called when a command has completed or failed. Commands sent without waiting for a reply are not reported.

        :param method: method of the command, such as ``calling.play``.
        :param call_id: ID of the call, or ``""`` if the command does not belong to a call.
        :param seconds: duration of the command, in seconds.
        :param error: exception raised by the command, or ``None``.
        """

    def callback_raised(self, where: str, error: BaseException) -> None:
        """Called when a handler or callback of your program raises an exception.

        :param where: description of the handler or callback, such as ``the on_call handler of call 5f1c...``.
        :param error: exception that was raised.
        """

    # -- messages, streams, connections ----------------------------------------------------------------------------------

    def message_changed(self, message: Any) -> None:
        """Called when a message is received or sent, or when its state changes.

        :param message: the :class:`Message`. Its ``state`` may have changed again since this notification was queued.
        """

    def stream_started(self, stream: Any) -> None:
        """Called when an audio server accepts a stream.

        :param stream: the ``AudioStream``.
        """

    def stream_ended(self, stream: Any) -> None:
        """Called when a stream has ended.

        :param stream: the ``AudioStream``. ``stream.end_reason`` is set.
        """

    def connection_changed(self, old: str, new: str) -> None:
        """Called when the client's state changes.

        :param old: previous value of ``client.state``.
        :param new: new value of ``client.state``.
        """

    # -- context managers ------------------------------------------------------------------------------------------------

    def around_handler(self, call: Any) -> AbstractContextManager[object]:
        """Return a context manager that wraps the ``on_call`` handler. It is entered in the handler's thread and context.

        :param call: the :class:`Call`.
        """
        return nullcontext()

    def around_command(self, method: str, call: Any) -> AbstractContextManager[object]:
        """Return a context manager that is active while a command is sent and its reply is awaited.

        The context manager is entered in the thread that waits for the reply.

        :param method: method of the command, such as ``calling.play``.
        :param call: the :class:`Call`, or ``None`` if the command does not belong to a call.
        """
        return nullcontext()


Observer.__module__ = "relay_sync"
