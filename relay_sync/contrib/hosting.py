"""A client that lives in an application: made from its settings when it is first needed, started in the processes that want
it, and ended with them.
"""

from __future__ import annotations

import inspect
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from ..client.client import RelayClient
from ..errors import AuthenticationError, ConnectTimeout, InvalidParameter, RelayError
from ..text.wording import counted, listed
from ..threads import logs, process, starting
from ..threads.flag import Flag
from ..threads.living import Living
from ..webhooks import Webhooks

__all__ = [
    "OPTIONS",
    "TAKES",
    "Hooks",
    "Hosted",
    "Unheard",
    "health",
    "make_webhooks",
    "merge",
    "origins",
    "start_all",
    "stop_all",
]

_log = logs.get("relay_sync").later

#: What settings may say: the parameters of :class:`RelayClient` that are no code.
OPTIONS: Final = frozenset(inspect.signature(RelayClient).parameters) - {"on_state", "on_error"}

#: The handlers that an application registers, and what each takes.
TAKES: Final = {"on_call": "call", "on_message": "message", "on_task": "task"}

_HOOKS: Final = frozenset(inspect.signature(Webhooks).parameters)

#: Seconds until the next attempt where the last one failed at once.
RETRY_AFTER: Final = 10.0
#: Seconds for a start that had just begun to connect: it takes its leave by itself.
STARTER_PATIENCE: Final = 2.0
#: Seconds that the clients of a process have for disconnecting, all together, over and above the time for their calls.
STOP_PATIENCE: Final = 10.0
#: What the reloaders of Django and of Werkzeug set in the process that serves.
_RELOADED: Final = ("RUN_MAIN", "WERKZEUG_RUN_MAIN")

_hosted: Living[Hosted] = Living()


def merge(
    settings: object, given: Mapping[str, Any], *, where: str, others: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """Arguments over settings. What neither has is taken from the environment, by the client itself.

    :param where: the settings' name in errors. :param others: keys of the framework's own that are left out of the result.
    :raises InvalidParameter: settings that are no mapping, or a key that means nothing.
    """
    checked = _checked(settings, OPTIONS | others, where=where, accepted="a mapping of RelayClient's parameters")
    wanted = {name: value for name, value in checked.items() if name in OPTIONS and value is not None}
    return {**wanted, **{name: value for name, value in given.items() if value is not None}}


def origins(settings: Mapping[str, Any], given: Mapping[str, Any], *, where: str, argument: str = "") -> dict[str, str]:
    """The name of the place that each merged parameter came from, for whoever looks for a mistake.

    :param where: the settings' name. :param argument: the name of what the arguments were given to.
    """
    merged = merge(settings, given, where=where, others=frozenset(settings))
    return {name: where if given.get(name) is None else argument for name in merged}


def make_webhooks(settings: Mapping[str, Any], *, where: str) -> Webhooks:
    """What reads the callbacks of an application, from the ``webhooks`` of its settings.

    :raises InvalidParameter: they cannot be right, or one of them means nothing.
    """
    given = settings.get("webhooks") or {}
    return Webhooks(**_checked(given, _HOOKS, where=f"{where}['webhooks']", accepted="a mapping"))


def _checked(settings: object, known: frozenset[str], *, where: str, accepted: str) -> Mapping[str, Any]:
    """:raises InvalidParameter: settings that are no mapping, or a key that means nothing."""
    if not isinstance(settings, Mapping):
        raise InvalidParameter(where, settings, accepted, secret=True)
    for name in settings:
        if name not in known:
            names = ", ".join(sorted(known))
            raise InvalidParameter(f"{where}[{name!r}]", "...", f"left out: the known names are {names}")
    return settings


class Hooks:
    """What reads the callbacks of one application, made when the first one comes.

    :param make: makes it. Of two threads that need it first, both get the same one: it knows what was handled.
    """

    def __init__(self, make: Callable[[], Webhooks]) -> None:
        self._make = make
        self._made: dict[str, Webhooks] = {}

    def get(self) -> Webhooks:
        """:raises InvalidParameter: the settings cannot be right."""
        return self._made.get("webhooks") or self._made.setdefault("webhooks", self._make())

    def forget(self) -> None:
        """The settings have changed."""
        self._made.clear()


class Hosted:
    """One application's client.

    :param make: makes the client, with its handlers; called once, when the client is first needed.
    """

    def __init__(self, make: Callable[[], RelayClient]) -> None:
        self._make = make
        self._lock = threading.RLock()
        self._client: RelayClient | None = None
        #: Of the latest start; each has its own, so that an earlier one that is still ending is not taken back.
        self._stopping = Flag()
        self._starter: threading.Thread | None = None
        _hosted.add(self)
        process.watch(self)

    @property
    def client(self) -> RelayClient:
        """The client, not necessarily connected: it connects when it is first used.

        :raises InvalidParameter: the settings cannot be right.
        """
        with self._lock:
            client = self._client
            if client is None:
                client = self._make()
                client = self._client = self.existing or client  # a signal handler may have needed one meanwhile
            return client

    @property
    def existing(self) -> RelayClient | None:
        """The client, if it was needed already."""
        return self._client

    def start(self) -> None:
        """Take calls in this process, beside whatever else it does. Harmless when it does already.

        Does not wait for the connection: a web worker must come up while the platform is out of reach, and the client goes
        on trying. Refused credentials are logged, and end that.
        """
        client = self.client
        process.tell_first_at_exit(_warn_of_cut_calls)
        with self._lock:
            before = self._starter
            if before is not None and before.is_alive() and not self._stopping.is_set():
                return
            self._stopping = stopping = Flag()
            starter = threading.Thread(
                target=self._connect, args=(client, stopping, before), name="relay-start", daemon=True
            )
            starting.uninterrupted(starter.start)
            self._starter = starter  # not before: where there is no thread for it, nobody can wait for it

    @staticmethod
    def _connect(client: RelayClient, stopping: Flag, before: threading.Thread | None) -> None:
        if before is not None:
            before.join()  # it was told to stop, and disconnects when it has
        while not stopping.is_set():
            try:
                client.connect()
                break
            except AuthenticationError as error:
                _log.error("no calls are taken in this process: %s", error.message)
                return
            except RelayError as error:
                if not stopping.is_set():
                    _log.warning("no calls are taken in this process yet: %s", error.message)
                if not isinstance(error, ConnectTimeout):  # it came at once
                    stopping.wait(RETRY_AFTER)
            except Exception:
                _log.exception("no calls are taken in this process: the client failed")
                return
        if stopping.is_set():
            client.disconnect(hangup_calls=True)

    def stop(self, drain: float) -> None:
        """Take no more calls, give live ones so many seconds, hang up the rest, disconnect."""
        self._stopping.set()
        client, starter = self._client, self._starter
        if client is None:
            return
        try:
            # While the connection is being repaired the calls live, too.
            if drain > 0 and client.state in ("connected", "reconnecting"):
                client.drain(drain)
        finally:
            client.disconnect(hangup_calls=True)
        if starter is not None and starter is not threading.current_thread():
            starter.join(STARTER_PATIENCE)

    def after_fork(self) -> None:
        """In a child process, such as a worker of a server that loaded the application before."""
        self._lock = threading.RLock()
        self._stopping = Flag()
        self._starter = None

    def at_exit(self, timeout: float) -> None:
        """The client is told by itself."""
        self._stopping.set()


def health(client: RelayClient | None) -> tuple[dict[str, Any], int]:
    """What a health view answers: a JSON body, and 200 or 503. A client that nobody needed yet is well."""
    state = "idle" if client is None else client.state
    calls = 0 if client is None else len(client.calls)
    return {"state": state, "calls": calls}, 200 if state in ("idle", "connected") else 503


def cut_calls() -> str:
    """What the end of this process does to live calls, in words; ``""`` where there are none."""
    clients = [hosted.existing for hosted in _hosted]
    calls = [call_id for client in clients if client is not None for call_id in client.calls]
    if not calls:
        return ""
    reload = any(os.environ.get(name) == "true" for name in _RELOADED)
    why = "the development server reloads the program or ends" if reload else "this process ends"
    advice = "; run the calls in a process of their own, or without the reloader" if reload else ""
    what = counted(len(calls), "live call is", "live calls are")
    return f"{why}: {what} cut off from the handlers, and the callers hear nothing more ({listed(calls)}){advice}"


def _warn_of_cut_calls() -> None:
    told = cut_calls()
    if told:
        _log.warning("%s", told)


class Unheard:
    """Says once of calls, and once for each kind of status callback, that the application does nothing with them."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._told_of_calls = False

    def tell(self, kind: str, advice: str) -> None:
        """One was answered, and nobody was there for it. :param advice: what to do to get it."""
        if kind not in self._told:
            self._told.add(kind)
            _log.warning("a status callback (%s) was answered, but the application does not use it: %s", kind, advice)

    def tell_of_calls(self) -> None:
        """One came in, and is passed back."""
        if not self._told_of_calls:
            self._told_of_calls = True
            _log.warning("calls come in but nobody takes them: they are passed back; use on_call, or call_received")


def start_all() -> None:
    """Start the clients of all applications in this process: for the hook of a server that runs in each of its workers."""
    for hosted in _hosted:
        hosted.start()


def stop_all(drain: float) -> None:
    """End them. :param drain: seconds for live calls, of all clients together."""
    end = time.monotonic() + drain
    stopping, others = [], []
    for hosted in _hosted:
        thread = threading.Thread(target=hosted.stop, args=(drain,), name="relay-stop", daemon=True)
        try:
            starting.uninterrupted(thread.start)
            stopping.append(thread)
        except RuntimeError:  # there is no thread for it
            others.append(hosted)
    for hosted in others:
        with suppress(RelayError):
            hosted.stop(max(0.0, end - time.monotonic()))
    starting.join_all(stopping, end + STOP_PATIENCE - time.monotonic())
