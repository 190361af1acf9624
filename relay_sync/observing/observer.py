"""The class that users derive from."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .records import CallRecord

__all__ = ["Observer"]

# Calls, events, messages and streams are classes of higher floors: "Any" lets an override name the class that it gets.


class Observer:
    """Is notified of what a client, or an audio server, does: derive a class, override what you need.

    ::

        class Log(Observer):
            def call_ended(self, record):
                print(record.call_id, record.end_reason)

        remove = client.observe(Log())      # also audio.observe(...)

    Only methods that are overridden cost anything.

    All methods but the two ``around_...`` run on one thread of the process, ``relay-observers``: one at a time, in the order in
    which things happened, with the context variables of the place where ``observe`` was called. They may block and use the
    client; what happens meanwhile waits. At most 10,000 notifications wait: further ones are dropped, counted in
    :attr:`dropped`, and a warning says so, once a minute. What a method raises is logged, once a minute for each method and
    type of exception, and affects nothing else.

    For a call the order is ``call_offered``, ``call_started``, events, ``call_ended``, which is the last one. A leg of a dial may
    have events before ``call_started``, which comes when it has answered first. A handler may run before ``call_started`` is
    delivered; ``command_done`` of a command that the end of the call interrupts may follow ``call_ended``.

    ``around_handler`` and ``around_command`` run in the thread that does the work. Nothing that they do to an exception of the
    work has an effect, and an ``Exception`` of theirs is logged: the work goes on, and what it raised is raised.

    :ivar dropped: how many notifications were dropped.
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
        """A command that a thread waited for was answered, or has failed.

        :param method: such as ``calling.play``.
        :param call_id: of the call that it was for, or ``""``.
        :param seconds: how long it took.
        :param error: what the verb raised, or ``None``.
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
        """A context manager for the run of an ``on_call`` handler, entered in its thread and its context.

        :param call: the :class:`Call`.
        """
        return nullcontext()

    def around_command(self, method: str, call: Any) -> AbstractContextManager[object]:
        """A context manager for a command, from before it is sent until it was answered, entered in the thread that waits.

        :param method: such as ``calling.play``.
        :param call: the :class:`Call` that it is for, or ``None``.
        """
        return nullcontext()


Observer.__module__ = "relay_sync"
