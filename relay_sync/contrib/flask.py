"""Flask: handle calls in an application, with its configuration and inside its context.

::

    from flask import Flask
    from relay_sync.contrib.flask import Relay

    relay = Relay()

    @relay.on_call
    def handle(call):                 # in its own thread, inside the app context
        call.answer()
        call.wait_for_ended()

    def create_app():
        app = Flask(__name__)
        app.config["RELAY_SYNC"] = {"host": "your-space.signalwire.com", "contexts": ["default"]}
        relay.init_app(app)
        app.register_blueprint(relay.blueprint(), url_prefix="/relay")
        return app

Run ``flask relay run`` to receive calls in a separate process, or receive them in the workers of gunicorn
(:mod:`relay_sync.contrib.gunicorn`). A view may use ``relay.client`` at any time, for instance to dial; the client connects on
first use.
"""

from __future__ import annotations

import functools
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

try:
    import click
    from flask import Blueprint, Flask, Response, current_app, jsonify, request
    from flask.cli import AppGroup, ScriptInfo, with_appcontext
except ImportError as _missing:
    if _missing.name not in ("flask", "flask.cli", "click"):
        raise  # Flask is installed, but one of its dependencies is not
    raise ImportError('relay_sync.contrib.flask needs Flask: pip install "flask>=3"') from _missing

from ..client.client import RelayClient
from ..errors import WebhookRefused
from ..params import values
from ..threads import logs
from ..threads.living import Living
from ..webhooks import Callback, Webhooks
from .hosting import TAKES, Hooks, Hosted, Unheard, health, make_webhooks, merge, origins
from .targets import of_wsgi

__all__ = ["Relay"]

_log = logs.get("relay_sync")

H = TypeVar("H", bound=Callable[..., object])

EXTENSION: Final = "relay_sync"
SETTING: Final = "RELAY_SYNC"
OTHERS: Final = frozenset({"webhooks"})


class Relay:
    """The Flask extension. One object serves any number of applications, each with its own client.

    Parameters come from *options*, then from the mapping ``app.config["RELAY_SYNC"]``, then from the environment. The mapping may
    also have the key ``webhooks``, with the parameters of :class:`relay_sync.webhooks.Webhooks`.

    :param app: an application to serve; you can also pass it to :meth:`init_app` later.
    :param options: parameters of :class:`relay_sync.RelayClient`.
    """

    def __init__(self, app: Flask | None = None, **options: Any) -> None:
        self._options = options
        self._handlers: dict[str, Callable[..., object]] = {}
        self._on_status: list[Callable[[Callback], object]] = []
        self._unheard = Unheard()
        self._served: Living[_Served] = Living()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Serve an application. Its configuration is read when the client is first used.

        :param app: the application.
        :raises RuntimeError: the application already has a Relay.
        """
        if EXTENSION in app.extensions:
            raise RuntimeError(f"the application {app.name!r} already has a Relay")
        served = app.extensions[EXTENSION] = _Served(self, app)
        self._served.add(served)
        app.cli.add_command(_commands)

    @property
    def client(self) -> RelayClient:
        """The client of the current application.

        :raises RuntimeError: there is no app context, or the application has no Relay.
        :raises InvalidParameter: the configuration is invalid.
        """
        return _current().hosted.client

    # -- handlers ----------------------------------------------------------------------------------------------------

    def on_call(self, handler: H = values.MISSING) -> H:
        """Register the handler of inbound calls, like :meth:`relay_sync.RelayClient.on_call`, but inside the app context.

        :param handler: a function that accepts the call.
        """
        return self._register("on_call", handler)

    def on_message(self, handler: H = values.MISSING) -> H:
        """Register the handler of inbound messages, like :meth:`relay_sync.RelayClient.on_message`, but inside the app context.

        :param handler: a function that accepts the message.
        """
        return self._register("on_message", handler)

    def on_task(self, handler: H = values.MISSING) -> H:
        """Register the handler of tasks, like :meth:`relay_sync.RelayClient.on_task`, but inside the app context.

        :param handler: a function that accepts the task.
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

    def on_status(self, handler: H = values.MISSING) -> H:
        """Register a handler for every status callback that the blueprint receives. It runs in the request.

        If the handler raises, the response is 500, and the platform may deliver the callback again; that delivery is not
        ``repeated``.

        :param handler: a function that accepts a :class:`relay_sync.webhooks.StreamStatus`, ``RecordingStatus`` or
            ``OtherStatus``, all of which have the members of :class:`relay_sync.webhooks.Callback`.
        """
        self._on_status.append(values.handler("handler", handler, ("callback",)))
        return handler

    # -- in this process -----------------------------------------------------------------------------------------------

    def start(self, app: Flask | None = None) -> bool:
        """Start to receive calls in this process, and return immediately. Does nothing if it is already started.

        Call it in the process that serves requests, after any fork. With the reloader of ``flask run``, two processes load the
        application; this method starts nothing in the process that only watches files. It cannot detect the reloader of
        ``app.run(debug=True)``: pass ``use_reloader=False`` there.

        :param app: the application; default: the current one.
        :return: whether this process receives calls.
        """
        served = _current() if app is None else _of(app)
        if _only_watches_files(served.app):
            _log.debug("the parent process of the reloader receives no calls")
            return False
        if os.environ.get("FLASK_RUN_FROM_CLI") == "true":  # the development server
            from ..cli.run import log_to_stderr

            log_to_stderr("info")
        served.hosted.start()
        return True

    def stop(self, app: Flask | None = None, *, drain: float = 30.0) -> None:
        """Stop what :meth:`start` started: accept no new calls, wait for live ones, then hang up the remaining ones.

        :param app: the application; default: the current one.
        :param drain: how long to wait for live calls, in seconds.
        """
        (_current() if app is None else _of(app)).hosted.stop(drain)

    # -- for the web ---------------------------------------------------------------------------------------------------

    def blueprint(self, name: str = "relay_sync") -> Blueprint:
        """Return a blueprint with two views.

        ``/status`` receives status callbacks (the ``status_url`` of streams and recordings). ``/health`` responds with 200 or
        503, and with the client's state and number of calls as JSON.

        :param name: the name of the blueprint.
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
        hooks.remember(callback)  # only now: after a failure (500) the platform delivers it again, to be handled then
        return "", 204


class _Served:
    """The state of one application."""

    def __init__(self, relay: Relay, app: Flask) -> None:
        self.relay = relay
        self.app = app
        self.hosted = Hosted(self._make)
        self._hooks = Hooks(lambda: make_webhooks(self.settings, where=f"app.config[{SETTING!r}]"))

    @property
    def settings(self) -> Mapping[str, Any]:
        """The validated ``app.config["RELAY_SYNC"]``; empty if it is not set."""
        settings = self.app.config.get(SETTING) or {}
        merge(settings, {}, where=f"app.config[{SETTING!r}]", others=OTHERS)
        found: Mapping[str, Any] = settings
        return found

    @property
    def webhooks(self) -> Webhooks:
        return self._hooks.get()

    def _make(self) -> RelayClient:
        options = merge(self.settings, self.relay._options, where=f"app.config[{SETTING!r}]", others=OTHERS)
        _ = self.webhooks  # report invalid settings now instead of at the first callback
        client = RelayClient(**options)
        for what, handler in self.relay._handlers.items():
            self.attach(client, what, handler)
        return client

    def origins(self) -> Mapping[str, str]:
        """Return where the client's parameters come from, except those from the environment and defaults."""
        where = f"app.config[{SETTING!r}]"
        return origins(self.settings, self.relay._options, where=where, argument="Relay(...)")

    def attach(self, client: RelayClient, what: str, handler: Callable[..., object]) -> None:
        """Register a handler with the client; it runs inside the app context."""

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
    """Return the body of the request, even if it was read before; of a body that is too long, slightly more than *most* bytes."""
    parts: list[bytes] = []
    size = 0
    while size <= most and (part := request.stream.read(65536)):
        parts.append(part)
        size += len(part)
    # After an access to request.form, the form is all that is left of the body.
    return b"".join(parts) or request.get_data() or urlencode(list(request.form.items(multi=True))).encode()


def _health() -> tuple[Response, int]:
    body, status = health(_current().hosted.existing)
    return jsonify(body), status


def _only_watches_files(app: Flask) -> bool:
    """Return whether this is the parent process of the development server's reloader."""
    with_reloader = os.environ.get("FLASK_RUN_FROM_CLI") == "true" and app.debug and "--no-reload" not in sys.argv
    return with_reloader and os.environ.get("WERKZEUG_RUN_MAIN") != "true"


_commands = AppGroup("relay", help="Calls over SignalWire RELAY.")


@_commands.command("run")
@click.option("--processes", default=1, show_default=True, help="Number of processes, each with its own connection.")
@click.option("--drain", default=30.0, show_default=True, help="Seconds that live calls may continue after the signal.")
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@click.pass_context
@with_appcontext
def _run(context: click.Context, processes: int, drain: float, log_level: str) -> None:
    """Receive calls until Ctrl-C or SIGTERM, then let live calls finish."""
    from ..cli.mistakes import Mistake, Unsuccessful
    from ..cli.run import serve

    info = context.find_object(ScriptInfo)
    chosen = ["--app", info.app_import_path] if info is not None and info.app_import_path else []
    again = [sys.executable, "-m", "flask", *chosen, "relay", "run", "--drain", str(drain), "--log-level", log_level]
    try:
        code = serve(lambda: _current().hosted.client, again, processes=processes, drain=drain, log_level=log_level)
    except Mistake as mistake:
        raise click.UsageError(f"argument {mistake}") from None
    except Unsuccessful as failure:
        code = failure.code
        click.echo(f"Error: {failure}", err=True)
    context.exit(code)


@_commands.command("doctor")
@click.option("--timeout", type=float, default=10.0, show_default=True, help="Seconds for each step.")
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
