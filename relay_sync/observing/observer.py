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
        """The client has a new :class:`Call`: one came in, or a leg that it dials is heard of (``call.direction``).

        The first notification of every call, also of one that is passed back.
        """

    def call_started(self, call: Any) -> None:
        """The program has the :class:`Call`: its ``on_call`` handler was started, or it is the answered leg of a dial."""

    def call_event(self, call: Any, event: Any) -> None:
        """An event of a :class:`Call`, a :class:`RelayEvent`, was applied: ``call.state`` is at least as new."""

    def call_ended(self, record: CallRecord) -> None:
        """A call is over for this client. The last notification of every call."""

    # -- commands and callbacks ------------------------------------------------------------------------------------------

    def command_done(self, method: str, call_id: str, seconds: float, error: BaseException | None) -> None:
        """A command that a thread waited for was answered, or has failed.

        :param method: such as ``calling.play``.
        :param call_id: of the call that it was for, or ``""``.
        :param seconds: how long it took.
        :param error: what the verb raised, or ``None``.
        """

    def callback_raised(self, where: str, error: BaseException) -> None:
        """A handler or callback of the program raised.

        :param where: such as ``the on_call handler of call 5f1c...``.
        """

    # -- messages, streams, connections ----------------------------------------------------------------------------------

    def message_changed(self, message: Any) -> None:
        """A :class:`Message` came in, was sent, or has another state. Look at ``message.state``: it may be newer by now."""

    def stream_started(self, stream: Any) -> None:
        """An audio server has a new :class:`~relay_sync.audio.AudioStream`."""

    def stream_ended(self, stream: Any) -> None:
        """Nothing more comes on an :class:`~relay_sync.audio.AudioStream`; ``stream.end_reason`` says why."""

    def connection_changed(self, old: str, new: str) -> None:
        """The client's state is another one; both are words that ``client.state`` has."""

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
