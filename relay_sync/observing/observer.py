"""The base class of observers."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .records import CallRecord

__all__ = ["Observer"]

# Calls, events, messages and streams are classes of higher layers: "Any" lets an override name the actual class.


class Observer:
    """Base class for observers of a client or an audio server. Derive a class and override the methods that you need.

    ::

        class Log(Observer):
            def call_ended(self, record):
                print(record.call_id, record.end_reason)

        remove = client.observe(Log())      # also audio.observe(...)

    Methods that you do not override have no cost.

    All methods except the two ``around_...`` methods run on one thread of the process, ``relay-observers``: one at a time, in
    order, and in the context (``contextvars``) in which ``observe`` was called. They may block and use the client; further
    notifications are queued. If 10,000 are queued, new ones are dropped and counted in :attr:`dropped`, and a warning is logged
    at most once a minute. An exception is logged, at most once a minute for each method and type, and has no other effect.

    The notifications of a call arrive in this order: ``call_offered``, ``call_started``, events, ``call_ended``. There are three
    exceptions. The leg of a dial may have events before ``call_started``, which follows when it is the first to be answered. A
    handler may run before ``call_started`` is delivered. If a call ends while a command is pending, ``command_done`` may follow
    ``call_ended``.

    ``around_handler`` and ``around_command`` run in the thread that runs the handler or sends the command. They cannot suppress
    or replace an exception raised inside. An ``Exception`` that they raise themselves is logged and has no other effect.

    :ivar dropped: the number of dropped notifications.
    """

    dropped: int = 0

    # -- calls -----------------------------------------------------------------------------------------------------------

    def call_offered(self, call: Any) -> None:
        """Called for each new call, inbound or outbound, including calls that are returned to the platform.

        This is the first notification of every call.

        :param call: the :class:`Call`; ``call.direction`` tells the direction.
        """

    def call_started(self, call: Any) -> None:
        """Called when the ``on_call`` handler of a call starts, or when a dialed leg is answered.

        :param call: the :class:`Call`.
        """

    def call_event(self, call: Any, event: Any) -> None:
        """Called after an event was applied to a call, so that ``call.state`` is at least as new as the event.

        :param call: the :class:`Call`.
        :param event: the :class:`RelayEvent`.
        """

    def call_ended(self, record: CallRecord) -> None:
        """Called when a call is over for this client. This is the last notification of every call.

        :param record: the summary of the call.
        """

    # -- commands and callbacks ------------------------------------------------------------------------------------------

    def command_done(self, method: str, call_id: str, seconds: float, error: BaseException | None) -> None:
        """Called when a command that a thread waited for has succeeded or failed.

        :param method: the method of the command, such as ``calling.play``.
        :param call_id: the id of the call, or ``""`` if the command is not for a call.
        :param seconds: the duration of the command.
        :param error: the exception that the verb raised, or ``None``.
        """

    def callback_raised(self, where: str, error: BaseException) -> None:
        """Called when a handler or callback of your program raises.

        :param where: the handler or callback, such as ``the on_call handler of call 5f1c...``.
        :param error: the exception.
        """

    # -- messages, streams, connections ----------------------------------------------------------------------------------

    def message_changed(self, message: Any) -> None:
        """Called when a message is received, is sent or changes state.

        :param message: the :class:`Message`; its ``state`` may already be newer than this notification.
        """

    def stream_started(self, stream: Any) -> None:
        """Called when an audio server accepts a stream.

        :param stream: the :class:`~relay_sync.audio.AudioStream`.
        """

    def stream_ended(self, stream: Any) -> None:
        """Called when a stream has ended.

        :param stream: the :class:`~relay_sync.audio.AudioStream`; ``stream.end_reason`` tells why it ended.
        """

    def connection_changed(self, old: str, new: str) -> None:
        """Called when the state of the client changes.

        :param old: the previous value of ``client.state``.
        :param new: the new value of ``client.state``.
        """

    # -- around the work -------------------------------------------------------------------------------------------------

    def around_handler(self, call: Any) -> AbstractContextManager[object]:
        """Return a context manager in which the ``on_call`` handler runs, entered in its thread and context.

        :param call: the :class:`Call`.
        """
        return nullcontext()

    def around_command(self, method: str, call: Any) -> AbstractContextManager[object]:
        """Return a context manager in which a command is sent and its response awaited, entered in the thread that waits.

        :param method: the method of the command, such as ``calling.play``.
        :param call: the :class:`Call`, or ``None`` if the command is not for a call.
        """
        return nullcontext()


Observer.__module__ = "relay_sync"
