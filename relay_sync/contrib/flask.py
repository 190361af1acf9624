"""Flask extension that handles calls inside the application context.

::

    from flask import Flask
    from relay_sync import Call
    from relay_sync.contrib.flask import Relay

    relay = Relay()

    @relay.on_call
    def handle(call: Call) -> None:   # runs in its own thread, inside the app context
        call.answer()
        call.wait_for_ended()

    def create_app():
        app = Flask(__name__)
        app.config["RELAY_SYNC"] = {"host": "your-space.signalwire.com", "contexts": ["default"]}
        relay.init_app(app)
        app.register_blueprint(relay.blueprint(), url_prefix="/relay")
        return app

To receive calls in a separate process, run ``flask relay run``. To receive them in gunicorn workers, see
:mod:`relay_sync.contrib.gunicorn`. Views can use ``relay.client``, for example to dial. The client connects on first use.
"""

from __future__ import annotations

import functools
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlencode

try:
    import click
    from flask import Blueprint, Flask, Response, current_app, jsonify, request
    from flask.cli import AppGroup, ScriptInfo, with_appcontext
except ImportError as _missing:
    if _missing.name not in ("flask", "flask.cli", "click"):
        raise  # Flask is installed, but one of its dependencies is missing.
    raise ImportError('relay_sync.contrib.flask needs Flask: pip install "flask>=3"') from _missing

from ..client.client import RelayClient
from ..errors import WebhookRefused
from ..params import values
from ..threads import logs
from ..threads.living import Living
from ..webhooks import OtherStatus, RecordingStatus, StreamStatus, Webhooks
from .hosting import TAKES, Hooks, Hosted, Unheard, health, make_webhooks, merge, origins
from .targets import of_wsgi

if TYPE_CHECKING:
    from ..call.call import Call
    from ..client.messages import Message
    from ..events import TaskEvent

__all__ = ["Relay"]

_log = logs.get("relay_sync")

H = TypeVar("H", bound=Callable[..., object])
R = TypeVar("R")

EXTENSION: Final = "relay_sync"
SETTING: Final = "RELAY_SYNC"
OTHERS: Final = frozenset({"webhooks"})


class Relay:
    """Flask extension. One instance can serve several applications, each with its own client.

    The client's parameters are read from ``options``, then from ``app.config["RELAY_SYNC"]``, then from the environment. The
    configuration also accepts the key ``webhooks``, a mapping of :class:`relay_sync.webhooks.Webhooks` parameters.

    :param app: application to initialize, unless you call :meth:`init_app` later.
    :param options: parameters of :class:`relay_sync.RelayClient`.
    """

    def __init__(self, app: Flask | None = None, **options: Any) -> None:
        self._options = options
        self._handlers: dict[str, Callable[..., object]] = {}
        self._on_status: list[Callable[[StreamStatus | RecordingStatus | OtherStatus], object]] = []
        self._unheard = Unheard()
        self._served: Living[_Served] = Living()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Initialize an application for use with this extension.

        The application's configuration is read when the client is first used.

        :param app: the application.
        :raises RuntimeError: the application was already initialized with a :class:`Relay`.
        """
        if EXTENSION in app.extensions:
            raise RuntimeError(f"the application {app.name!r} already has a Relay")
        served = app.extensions[EXTENSION] = _Served(self, app)
        self._served.add(served)
        app.cli.add_command(_commands)

    @property
    def client(self) -> RelayClient:
        """The current application's client.

        :raises RuntimeError: there is no app context, or the application was not initialized with :meth:`init_app`.
        :raises InvalidParameter: the configuration is invalid.
        """
        return _current().hosted.client

    # -- handlers ----------------------------------------------------------------------------------------------------

    @values.decorator
    def on_call(self, handler: Callable[[Call], R]) -> Callable[[Call], R]:
        """Register the handler for inbound calls. It runs inside the app context.

        See :meth:`relay_sync.RelayClient.on_call`.

        :param handler: function called with the :class:`relay_sync.Call`.
        """
        return self._register("on_call", handler)

    @values.decorator
    def on_message(self, handler: Callable[[Message], R]) -> Callable[[Message], R]:
        """Register the handler for inbound messages. It runs inside the app context.

        See :meth:`relay_sync.RelayClient.on_message`.

        :param handler: function called with the :class:`relay_sync.Message`.
        """
        return self._register("on_message", handler)

    @values.decorator
    def on_task(self, handler: Callable[[TaskEvent], R]) -> Callable[[TaskEvent], R]:
        """Register the handler for tasks. It runs inside the app context.

        See :meth:`relay_sync.RelayClient.on_task`.

        :param handler: function called with the task.
        """
        return self._register("on_task", handler)

    def _register(self, what: str, handler: H) -> H:
        values.handler("handler", handler, (TAKES[what],))
        self._handlers[what] = handler
        for served in self._served:
            client = served.hosted.existing
            if client is not None:
                served.attach(client, what, handler)
        return handler

    @values.decorator
    def on_status(
        self, handler: Callable[[StreamStatus | RecordingStatus | OtherStatus], R]
    ) -> Callable[[StreamStatus | RecordingStatus | OtherStatus], R]:
        """Register a handler for status callbacks received by the blueprint. It runs during the request.

        If the handler raises, the response has status 500, and the platform may deliver the callback again. The second delivery
        is not marked as :attr:`relay_sync.webhooks.Callback.repeated`.

        :param handler: function called with a :class:`relay_sync.webhooks.StreamStatus`, ``RecordingStatus`` or ``OtherStatus``,
            which are subclasses of :class:`relay_sync.webhooks.Callback`.
        """
        self._on_status.append(values.handler("handler", handler, ("callback",)))
        return handler

    # -- start and stop ------------------------------------------------------------------------------------------------

    def start(self, app: Flask | None = None) -> bool:
        """Start receiving calls in this process and return immediately. Calling this method again has no effect.

        Call this method after any fork, in the process that serves requests. Under the ``flask run`` reloader, two processes load
        the application. This method does nothing in the parent process, which only watches files. It does not detect the
        ``app.run(debug=True)`` reloader; use ``app.run(debug=True, use_reloader=False)`` instead.

        :param app: the application. Defaults to the current application.
        :return: whether this process receives calls.
        """
        served = _current() if app is None else _of(app)
        if _only_watches_files(served.app):
            _log.debug("the parent process of the reloader receives no calls")
            return False
        if os.environ.get("FLASK_RUN_FROM_CLI") == "true":  # running under the development server
            from ..cli.run import log_to_stderr

            log_to_stderr("info")
        served.hosted.start()
        return True

    def stop(self, app: Flask | None = None, *, drain: float = 30.0) -> None:
        """Stop receiving calls in this process.

        The client stops accepting new calls, waits for live calls to end, hangs up any remaining calls and disconnects.

        :param app: the application. Defaults to the current application.
        :param drain: maximum time to wait for live calls, in seconds.
        """
        (_current() if app is None else _of(app)).hosted.stop(drain)

    # -- views ---------------------------------------------------------------------------------------------------------

    def blueprint(self, name: str = "relay_sync") -> Blueprint:
        """Return a blueprint with the views ``/status`` and ``/health``.

        ``/status`` receives status callbacks. Use its URL as the ``status_url`` of streams and recordings. ``/health`` returns
        the client's state and number of calls as JSON, with status 200 or 503.

        :param name: name of the blueprint.
        """
        blueprint = Blueprint(name, __name__)
        blueprint.add_url_rule("/status", "status", self._status, methods=["GET", "POST"])
        blueprint.add_url_rule("/health", "health", _health)
        return blueprint

    def _status(self) -> tuple[str, int]:
        hooks = _current().webhooks
        try:
            body = _body(hooks.max_body)
            site, path = f"{request.scheme}://{request.host}", request.root_path.rstrip("/") + request.path
            url, *others = of_wsgi(request.environ, site, path, request.url)
            callback = hooks.parse(
                request.method,
                url,
                request.headers,
                body,
                peer=request.remote_addr,
                remember=False,
                spellings=others,
            )
        except WebhookRefused as refusal:
            return f"{refusal.message}\n", refusal.status
        if not self._on_status:
            self._unheard.tell(callback.kind, "register a function with relay.on_status")
        for handler in self._on_status:
            handler(callback)
        # If a handler raised, do not mark the callback as seen. The platform delivers it again after a 500.
        hooks.remember(callback)
        return "", 204


class _Served:
    """The extension's state for one application."""

    def __init__(self, relay: Relay, app: Flask) -> None:
        self.relay = relay
        self.app = app
        self.hosted = Hosted(self._make)
        self._hooks = Hooks(lambda: make_webhooks(self.settings, where=f"app.config[{SETTING!r}]"))

    @property
    def settings(self) -> Mapping[str, Any]:
        """Validated value of ``app.config["RELAY_SYNC"]``, or an empty mapping if it is not set."""
        settings = self.app.config.get(SETTING) or {}
        merge(settings, {}, where=f"app.config[{SETTING!r}]", others=OTHERS)
        found: Mapping[str, Any] = settings
        return found

    @property
    def webhooks(self) -> Webhooks:
        return self._hooks.get()

    def _make(self) -> RelayClient:
        options = merge(self.settings, self.relay._options, where=f"app.config[{SETTING!r}]", others=OTHERS)
        _ = self.webhooks  # Report invalid settings now instead of on the first callback.
        client = RelayClient(**options)
        for what, handler in self.relay._handlers.items():
            self.attach(client, what, handler)
        return client

    def origins(self) -> Mapping[str, str]:
        """Return the source of each client parameter that is set in the configuration or passed to :class:`Relay`."""
        where = f"app.config[{SETTING!r}]"
        return origins(self.settings, self.relay._options, where=where, argument="Relay(...)")

    def attach(self, client: RelayClient, what: str, handler: Callable[..., object]) -> None:
        """Register a handler with the client. The handler runs inside the app context."""

        @functools.wraps(handler)
        def inside(subject: Any) -> object:
            with self.app.app_context():
                return handler(subject)

        getattr(client, what)(inside)


def _current() -> _Served:
    return _of(current_app._get_current_object())  # type: ignore[attr-defined]


def _of(app: Flask) -> _Served:
    served = app.extensions.get(EXTENSION)
    if not isinstance(served, _Served):
        raise RuntimeError(f"the application {app.name!r} has no Relay: call relay.init_app(app)")
    return served


def _body(most: int) -> bytes:
    """Return the request body, even if it was already read.

    Reading stops after slightly more than ``most`` bytes, so that the caller can detect a body that is too long.
    """
    parts: list[bytes] = []
    size = 0
    while size <= most and (part := request.stream.read(65536)):
        parts.append(part)
        size += len(part)
    # If request.form was accessed earlier, Flask has parsed and discarded the body. Rebuild it from the form.
    return b"".join(parts) or request.get_data() or urlencode(list(request.form.items(multi=True))).encode()


def _health() -> tuple[Response, int]:
    body, status = health(_current().hosted.existing)
    return jsonify(body), status


def _only_watches_files(app: Flask) -> bool:
    """Return whether this is the reloader's parent process under the development server."""
    with_reloader = os.environ.get("FLASK_RUN_FROM_CLI") == "true" and app.debug and "--no-reload" not in sys.argv
    return with_reloader and os.environ.get("WERKZEUG_RUN_MAIN") != "true"


_commands = AppGroup("relay", help="Calls over SignalWire RELAY.")


@_commands.command("run")
@click.option("--processes", default=1, show_default=True, help="Number of processes, each with its own connection.")
@click.option("--drain", default=30.0, show_default=True, help="Seconds that live calls may continue after the signal.")
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@click.option(
    "--health", metavar="HOST:PORT", help="Address for health checks and metrics; a port alone is one of 127.0.0.1."
)
@click.pass_context
@with_appcontext
def _run(context: click.Context, /, processes: int, **options: Any) -> None:
    """Receive calls until Ctrl-C or SIGTERM, then wait for live calls to end."""
    from ..cli.mistakes import Mistake, Unsuccessful
    from ..cli.run import serve

    info = context.find_object(ScriptInfo)
    chosen = ["--app", info.app_import_path] if info is not None and info.app_import_path else []
    again = [sys.executable, "-m", "flask", *chosen, "relay", "run", "--drain", str(options["drain"])]
    again += ["--log-level", options["log_level"]]
    try:
        code = serve(lambda: _current().hosted.client, again, processes=processes, **options)
    except Mistake as mistake:
        raise click.UsageError(f"argument {mistake}") from None
    except Unsuccessful as failure:
        code = failure.code
        click.echo(f"Error: {failure}", err=True)
    context.exit(code)


@_commands.command("doctor")
@click.option("--timeout", type=float, default=10.0, show_default=True, help="Seconds for each step.")
@click.option("--audio", is_flag=True, help="Check the way from outside to the AudioServer of the program.")
@click.option("--silence", type=float, default=0.0, help="With --audio: seconds to leave the connection silent.")
@click.option("--call", metavar="NUMBER", help="Make a test call to this number; the callee must answer.")
@click.option("--from", "from_", metavar="NUMBER", help="The project's number to call from.")
@click.option("--port", type=int, default=0, help="Port that receives the audio of the test call.")
@click.option("--public-url", metavar="URL", help="URL under which the platform reaches that port: wss://...")
@click.pass_context
@with_appcontext
def _doctor(context: click.Context, /, **options: Any) -> None:
    """Show the configuration and its origin, test it, and suggest fixes."""
    from ..cli.doctor import diagnose
    from ..cli.mistakes import Mistake, Unsuccessful

    served = _current()
    try:
        code = diagnose(lambda: served.hosted.client, Namespace(**options), served.origins)
    except Mistake as mistake:
        raise click.UsageError(f"argument {mistake}") from None
    except Unsuccessful as failure:
        raise click.ClickException(str(failure)) from None
    context.exit(code)


Relay.__module__ = "relay_sync.contrib.flask"
