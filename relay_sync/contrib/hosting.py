"""Manage a web application's client. The framework integrations share this module.

The client is created from the application's settings on first use. It is started in each process that receives calls, and
stopped when that process exits.
"""

from __future__ import annotations

import inspect
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from .. import receivers
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

#: Valid keys in the settings: the parameters of :class:`RelayClient`, except for callbacks.
OPTIONS: Final = frozenset(inspect.signature(RelayClient).parameters) - {"on_state", "on_error"}

#: Handlers that an application can register, with their parameter names.
TAKES: Final = {"on_call": "call", "on_message": "message", "on_task": "task"}

_HOOKS: Final = frozenset(inspect.signature(Webhooks).parameters)

#: Delay before the next connection attempt if an attempt fails immediately, in seconds.
RETRY_AFTER: Final = 10.0
#: Maximum time that :meth:`Hosted.stop` waits for a connection attempt to end, in seconds.
STARTER_PATIENCE: Final = 2.0
#: Maximum time for a process's clients to disconnect after draining, in seconds.
STOP_PATIENCE: Final = 10.0
#: Environment variables that the reloaders of Django and Werkzeug set in the process that serves requests.
_RELOADED: Final = ("RUN_MAIN", "WERKZEUG_RUN_MAIN")

_hosted: Living[Hosted] = Living()


def merge(
    settings: object, given: Mapping[str, Any], *, where: str, others: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """Return the client's parameters. Arguments override settings.

    The client reads any missing parameters from the environment.

    :param settings: the application's settings.
    :param given: arguments passed by the application.
    :param where: name of the settings in error messages.
    :param others: additional valid keys, which are not client parameters.
    :raises InvalidParameter: the settings are not a mapping, or a key is unknown.
    """
    checked = _checked(settings, OPTIONS | others, where=where, accepted="a mapping of RelayClient's parameters")
    wanted = {name: value for name, value in checked.items() if name in OPTIONS and value is not None}
    return {**wanted, **{name: value for name, value in given.items() if value is not None}}


def origins(settings: Mapping[str, Any], given: Mapping[str, Any], *, where: str, argument: str = "") -> dict[str, str]:
    """Return the source of each parameter, for diagnostic output.

    :param settings: the application's settings.
    :param given: arguments passed by the application.
    :param where: name of the settings.
    :param argument: name of the callable that received the arguments.
    """
    merged = merge(settings, given, where=where, others=frozenset(settings))
    return {name: where if given.get(name) is None else argument for name in merged}


def make_webhooks(settings: Mapping[str, Any], *, where: str) -> Webhooks:
    """Create the parser for status callbacks from the ``webhooks`` key of the settings.

    :param settings: the application's settings.
    :param where: name of the settings in error messages.
    :raises InvalidParameter: a value is invalid, or a key is unknown.
    """
    given = settings.get("webhooks") or {}
    return Webhooks(**_checked(given, _HOOKS, where=f"{where}['webhooks']", accepted="a mapping"))


def _checked(settings: object, known: frozenset[str], *, where: str, accepted: str) -> Mapping[str, Any]:
    """Check the type and the keys of the settings, then return them.

    :raises InvalidParameter: the settings are not a mapping, or a key is unknown.
    """
    if not isinstance(settings, Mapping):
        raise InvalidParameter(where, settings, accepted, secret=True)
    for name in settings:
        if name not in known:
            names = ", ".join(sorted(known))
            raise InvalidParameter(f"{where}[{name!r}]", "...", f"a known key: {names}")
    return settings


class Hooks:
    """Parser for an application's status callbacks, created on first use.

    All threads get the same parser, because it keeps track of the callbacks that were already handled.

    :param make: function that creates the parser.
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
        """Discard the parser because the settings have changed."""
        self._made.clear()


class Hosted:
    """An application's client, created on first use.

    :param make: function that creates the client and registers the handlers. Called once.
    """

    def __init__(self, make: Callable[[], RelayClient]) -> None:
        self._make = make
        self._lock = threading.RLock()
        self._client: RelayClient | None = None
        #: Stops the latest connection attempt. Each start() creates a new flag, so a restart cannot cancel an earlier stop().
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
                client = self._client = self.existing or client  # A signal handler may have created one during _make().
            return client

    @property
    def existing(self) -> RelayClient | None:
        """The client, or ``None`` if it has not been created."""
        return self._client

    def start(self) -> None:
        """Start the receivers, and start receiving calls in this process. Calling this method again has no effect.

        The connection is established in the background, so a web worker can start while the platform is unreachable. Failed
        attempts are repeated. If the platform rejects the credentials, the error is logged and no further attempt is made.
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
            self._starter = starter  # Set after the start, because a thread that failed to start cannot be joined.

    @staticmethod
    def _connect(client: RelayClient, stopping: Flag, before: threading.Thread | None) -> None:
        if before is not None:
            before.join()  # It has been stopped, and disconnects before it exits.
        while not stopping.is_set():
            try:
                if not _receivers_started():
                    stopping.wait(RETRY_AFTER)
                    continue
                client.connect()
                break
            except AuthenticationError as error:
                _log.error("this process receives no calls: %s", error.message)
                return
            except RelayError as error:
                if not stopping.is_set():
                    _log.warning("this process receives no calls yet: %s", error.message)
                if not isinstance(error, ConnectTimeout):  # The attempt failed immediately.
                    stopping.wait(RETRY_AFTER)
            except Exception:
                _log.exception("this process receives no calls: the client failed")
                return
        if stopping.is_set():
            client.disconnect(hangup_calls=True)

    def stop(self, drain: float) -> None:
        """Stop accepting calls, wait for live calls to end, hang up any remaining calls and disconnect.

        :param drain: maximum time to wait for live calls, in seconds.
        """
        self._stopping.set()
        client, starter = self._client, self._starter
        if client is None:
            return
        try:
            # Calls stay live while the client reconnects.
            if drain > 0 and client.state in ("connected", "reconnecting"):
                client.drain(drain)
        finally:
            client.disconnect(hangup_calls=True)
        if starter is not None and starter is not threading.current_thread():
            starter.join(STARTER_PATIENCE)

    def after_fork(self) -> None:
        """Reset the state in a child process, such as a worker of a server that preloads the application."""
        self._lock = threading.RLock()
        self._stopping = Flag()
        self._starter = None

    def at_exit(self, timeout: float) -> None:
        """Stop connection attempts. The client has its own exit handler, which disconnects it."""
        self._stopping.set()


def _receivers_started() -> bool:
    """Start this process's receivers, and return whether all of them could start.

    A worker that this process replaces may still have the port.
    """
    try:
        receivers.start_all()
    except OSError as error:
        _log.warning("this process receives no calls yet: its AudioServer cannot start: %s", error.strerror or error)
        return False
    return True


def health(client: RelayClient | None) -> tuple[dict[str, Any], int]:
    """Return the health view's JSON body and status.

    The status is 200 if the client is connected or was not started, and 503 otherwise.
    """
    state = "idle" if client is None else client.state
    calls = 0 if client is None else len(client.calls)
    return {"state": state, "calls": calls}, 200 if state in ("idle", "connected") else 503


def cut_calls() -> str:
    """Return a warning about calls that are live while this process exits, or ``""`` if there are none."""
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
    """Warnings about unhandled calls and status callbacks, each logged once."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._told_of_calls = False

    def tell(self, kind: str, advice: str) -> None:
        """Warn about a status callback without a handler.

        :param kind: kind of the callback.
        :param advice: how to handle callbacks of this kind.
        """
        if kind not in self._told:
            self._told.add(kind)
            _log.warning("a status callback (%s) was acknowledged without a handler: %s", kind, advice)

    def tell_of_calls(self) -> None:
        """Warn about an inbound call that is returned to the platform because it has no handler."""
        if not self._told_of_calls:
            self._told_of_calls = True
            _log.warning(
                "inbound calls are returned to the platform: no handler or receiver is registered; use on_call or call_received"
            )


def start_all() -> None:
    """Start every application's client in this process. Server hooks call this function in each worker."""
    for hosted in _hosted:
        hosted.start()


def stop_all(drain: float) -> None:
    """Stop all applications' clients in this process, concurrently.

    :param drain: maximum time to wait for all live calls, in seconds.
    """
    end = time.monotonic() + drain
    stopping, others = [], []
    for hosted in _hosted:
        thread = threading.Thread(target=hosted.stop, args=(drain,), name="relay-stop", daemon=True)
        try:
            starting.uninterrupted(thread.start)
            stopping.append(thread)
        except RuntimeError:  # The interpreter cannot start new threads. Stop this client in the current thread.
            others.append(hosted)
    for hosted in others:
        with suppress(RelayError):
            hosted.stop(max(0.0, end - time.monotonic()))
    starting.join_all(stopping, end + STOP_PATIENCE - time.monotonic())
