"""The client of an application: created from its settings on first use, started in the processes that receive calls, and
stopped when they exit.
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

#: The keys of settings: the parameters of :class:`RelayClient` except callbacks.
OPTIONS: Final = frozenset(inspect.signature(RelayClient).parameters) - {"on_state", "on_error"}

#: The handlers that an application may register, and the parameter of each.
TAKES: Final = {"on_call": "call", "on_message": "message", "on_task": "task"}

_HOOKS: Final = frozenset(inspect.signature(Webhooks).parameters)

#: Seconds until the next attempt if an attempt fails immediately.
RETRY_AFTER: Final = 10.0
#: Seconds to wait for a start that is still connecting: it then disconnects automatically.
STARTER_PATIENCE: Final = 2.0
#: Seconds in which all clients of a process must disconnect, in addition to the time for their calls.
STOP_PATIENCE: Final = 10.0
#: Variables that the reloaders of Django and Werkzeug set in the serving process.
_RELOADED: Final = ("RUN_MAIN", "WERKZEUG_RUN_MAIN")

_hosted: Living[Hosted] = Living()


def merge(
    settings: object, given: Mapping[str, Any], *, where: str, others: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """Return the client's parameters: arguments override settings, and the client reads the rest from the environment.

    :param settings: the settings of the application.
    :param given: the arguments.
    :param where: the name of the settings in errors.
    :param others: keys that belong to the integration, which the result omits.
    :raises InvalidParameter: the settings are not a mapping, or have an unknown key.
    """
    checked = _checked(settings, OPTIONS | others, where=where, accepted="a mapping of RelayClient's parameters")
    wanted = {name: value for name, value in checked.items() if name in OPTIONS and value is not None}
    return {**wanted, **{name: value for name, value in given.items() if value is not None}}


def origins(settings: Mapping[str, Any], given: Mapping[str, Any], *, where: str, argument: str = "") -> dict[str, str]:
    """Return where each merged parameter comes from, for the diagnosis of the configuration.

    :param settings: the settings of the application.
    :param given: the arguments.
    :param where: the name of the settings.
    :param argument: the name of the callable that received the arguments.
    """
    merged = merge(settings, given, where=where, others=frozenset(settings))
    return {name: where if given.get(name) is None else argument for name in merged}


def make_webhooks(settings: Mapping[str, Any], *, where: str) -> Webhooks:
    """Create the parser of an application's status callbacks from the key ``webhooks`` of its settings.

    :param settings: the settings of the application.
    :param where: the name of the settings in errors.
    :raises InvalidParameter: a value is invalid, or a key is unknown.
    """
    given = settings.get("webhooks") or {}
    return Webhooks(**_checked(given, _HOOKS, where=f"{where}['webhooks']", accepted="a mapping"))


def _checked(settings: object, known: frozenset[str], *, where: str, accepted: str) -> Mapping[str, Any]:
    """Return the settings after checking their type and keys.

    :raises InvalidParameter: the settings are not a mapping, or have an unknown key.
    """
    if not isinstance(settings, Mapping):
        raise InvalidParameter(where, settings, accepted, secret=True)
    for name in settings:
        if name not in known:
            names = ", ".join(sorted(known))
            raise InvalidParameter(f"{where}[{name!r}]", "...", f"a known key: {names}")
    return settings


class Hooks:
    """The parser of one application's status callbacks, created on first use.

    Concurrent first uses get the same object, which remembers the handled callbacks.

    :param make: creates the parser.
    """

    def __init__(self, make: Callable[[], Webhooks]) -> None:
        self._make = make
        self._made: dict[str, Webhooks] = {}

    def get(self) -> Webhooks:
        """Return the parser.

        :raises InvalidParameter: the settings are invalid.
        """
        return self._made.get("webhooks") or self._made.setdefault("webhooks", self._make())

    def forget(self) -> None:
        """Discard the parser after the settings have changed."""
        self._made.clear()


class Hosted:
    """The client of one application.

    :param make: creates the client with its handlers; called once, on first use.
    """

    def __init__(self, make: Callable[[], RelayClient]) -> None:
        self._make = make
        self._lock = threading.RLock()
        self._client: RelayClient | None = None
        #: Stops the latest start. Each start has its own flag, so that a new start does not revive a stopping one.
        self._stopping = Flag()
        self._starter: threading.Thread | None = None
        _hosted.add(self)
        process.watch(self)

    @property
    def client(self) -> RelayClient:
        """The client, which connects on first use.

        :raises InvalidParameter: the settings are invalid.
        """
        with self._lock:
            client = self._client
            if client is None:
                client = self._make()
                client = self._client = self.existing or client  # a signal handler may have created one in the meantime
            return client

    @property
    def existing(self) -> RelayClient | None:
        """The client if it was created, otherwise ``None``."""
        return self._client

    def start(self) -> None:
        """Start to receive calls in this process. Does nothing if it is already started.

        Returns without waiting for the connection, so that a web worker can start while the platform is unreachable. The client
        retries until it connects; refused credentials are logged and end the attempts.
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
            self._starter = starter  # only now: a thread that failed to start cannot be joined

    @staticmethod
    def _connect(client: RelayClient, stopping: Flag, before: threading.Thread | None) -> None:
        if before is not None:
            before.join()  # it is stopping, and disconnects when done
        while not stopping.is_set():
            try:
                client.connect()
                break
            except AuthenticationError as error:
                _log.error("this process receives no calls: %s", error.message)
                return
            except RelayError as error:
                if not stopping.is_set():
                    _log.warning("this process receives no calls yet: %s", error.message)
                if not isinstance(error, ConnectTimeout):  # it failed immediately
                    stopping.wait(RETRY_AFTER)
            except Exception:
                _log.exception("this process receives no calls: the client failed")
                return
        if stopping.is_set():
            client.disconnect(hangup_calls=True)

    def stop(self, drain: float) -> None:
        """Accept no new calls, wait for live calls, hang up the remaining ones and disconnect.

        :param drain: how long to wait for live calls, in seconds.
        """
        self._stopping.set()
        client, starter = self._client, self._starter
        if client is None:
            return
        try:
            # Calls are live during a reconnect as well.
            if drain > 0 and client.state in ("connected", "reconnecting"):
                client.drain(drain)
        finally:
            client.disconnect(hangup_calls=True)
        if starter is not None and starter is not threading.current_thread():
            starter.join(STARTER_PATIENCE)

    def after_fork(self) -> None:
        """Reset in a child process, such as a worker of a server that loaded the application before the fork."""
        self._lock = threading.RLock()
        self._stopping = Flag()
        self._starter = None

    def at_exit(self, timeout: float) -> None:
        """Stop connecting; the client disconnects separately."""
        self._stopping.set()


def health(client: RelayClient | None) -> tuple[dict[str, Any], int]:
    """Return the response of a health view: a JSON body, and 200 or 503. A client not yet created counts as healthy."""
    state = "idle" if client is None else client.state
    calls = 0 if client is None else len(client.calls)
    return {"state": state, "calls": calls}, 200 if state in ("idle", "connected") else 503


def cut_calls() -> str:
    """Return a description of what the exit of this process does to live calls; ``""`` if there are none."""
    clients = [hosted.existing for hosted in _hosted]
    calls = [call_id for client in clients if client is not None for call_id in client.calls]
    if not calls:
        return ""
    reload = any(os.environ.get(name) == "true" for name in _RELOADED)
    why = "the development server reloads or exits" if reload else "this process exits"
    advice = "; receive calls in a separate process, or disable the reloader" if reload else ""
    what = counted(len(calls), "live call is", "live calls are")
    return f"{why}: {what} cut off from the handlers, and the callers hear silence ({listed(calls)}){advice}"


def _warn_of_cut_calls() -> None:
    warning = cut_calls()
    if warning:
        _log.warning("%s", warning)


class Unheard:
    """Warns once about unhandled calls, and once about each unhandled kind of status callback."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._told_of_calls = False

    def tell(self, kind: str, advice: str) -> None:
        """Warn about a status callback that no handler received.

        :param kind: its kind.
        :param advice: how to receive it.
        """
        if kind not in self._told:
            self._told.add(kind)
            _log.warning("a status callback (%s) was acknowledged without a handler: %s", kind, advice)

    def tell_of_calls(self) -> None:
        """Warn about an inbound call that is returned to the platform."""
        if not self._told_of_calls:
            self._told_of_calls = True
            _log.warning(
                "inbound calls are returned to the platform: no handler or receiver is registered; use on_call or call_received"
            )


def start_all() -> None:
    """Start the clients of all applications in this process; for server hooks that run in each worker."""
    for hosted in _hosted:
        hosted.start()


def stop_all(drain: float) -> None:
    """Stop the clients of all applications in this process.

    :param drain: how long to wait for the live calls of all clients together, in seconds.
    """
    end = time.monotonic() + drain
    stopping, others = [], []
    for hosted in _hosted:
        thread = threading.Thread(target=hosted.stop, args=(drain,), name="relay-stop", daemon=True)
        try:
            starting.uninterrupted(thread.start)
            stopping.append(thread)
        except RuntimeError:  # no thread can be started
            others.append(hosted)
    for hosted in others:
        with suppress(RelayError):
            hosted.stop(max(0.0, end - time.monotonic()))
    starting.join_all(stopping, end + STOP_PATIENCE - time.monotonic())
