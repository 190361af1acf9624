"""Flask: calls handled beside an application, with its configuration and inside its context.

::

    from flask import Flask
    from relay_sync.contrib.flask import Relay

    relay = Relay()

    @relay.on_call
    def handle(call):                 # in a thread of its own, inside the app context
        call.answer()
        call.wait_for_ended()

    def create_app():
        app = Flask(__name__)
        app.config["RELAY_SYNC"] = {"host": "your-space.signalwire.com", "contexts": ["default"]}
        relay.init_app(app)
        app.register_blueprint(relay.blueprint(), url_prefix="/relay")
        return app

Calls are taken by a process of its own, ``flask relay run``, or by the workers of gunicorn (:mod:`relay_sync.contrib.gunicorn`).
A view may use ``relay.client`` at any time, for instance to dial: it connects when it is first used.
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
        raise  # it is there, but what it needs is not
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
    """The extension. One object serves any number of applications; each has a client of its own.

    :param app: an application to serve at once; else :meth:`init_app` takes it later.
    :param options: parameters of :class:`relay_sync.RelayClient`; they win over ``app.config["RELAY_SYNC"]``, a mapping of
        the same names, and that wins over the environment. The mapping may also have ``webhooks``: the parameters of
        :class:`relay_sync.webhooks.Webhooks`.
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
        """Serve this application. Its configuration is read when the client is first needed.

        :raises RuntimeError: it is served already.
        """
        if EXTENSION in app.extensions:
            raise RuntimeError(f"the application {app.name!r} has a Relay already")
        served = app.extensions[EXTENSION] = _Served(self, app)
        self._served.add(served)
        app.cli.add_command(_commands)

    @property
    def client(self) -> RelayClient:
        """The client of the current application.

        :raises RuntimeError: there is no app context, or no Relay in the application.
        :raises InvalidParameter: the configuration cannot be right.
        """
        return _current().hosted.client

    # -- handlers ----------------------------------------------------------------------------------------------------

    def on_call(self, handler: H = values.MISSING) -> H:
        """Register the handler of inbound calls: :meth:`relay_sync.RelayClient.on_call`, inside the app context."""
        return self._register("on_call", handler)

    def on_message(self, handler: H = values.MISSING) -> H:
        """Register the handler of inbound messages: :meth:`relay_sync.RelayClient.on_message`, inside the app context."""
        return self._register("on_message", handler)

    def on_task(self, handler: H = values.MISSING) -> H:
        """Register the handler of tasks: :meth:`relay_sync.RelayClient.on_task`, inside the app context."""
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
        """Call a function with every status callback that the blueprint takes, in the request that brings it.

        It is given a :class:`relay_sync.webhooks.StreamStatus`, a ``RecordingStatus`` or an ``OtherStatus``; ``kind``, ``state``,
        ``call_id`` and all other members of :class:`relay_sync.webhooks.Callback` are there in each of them. What it raises is
        answered with 500, and the platform may try again; that one is not ``repeated``.
        """
        self._on_status.append(values.handler("handler", handler, ("callback",)))
        return handler

    # -- in this process -----------------------------------------------------------------------------------------------

    def start(self, app: Flask | None = None) -> bool:
        """Take calls in this process, beside its requests. Returns at once; harmless when it does already.

        To be called in the process that serves requests, after any fork. Under ``flask run`` with its reloader there are two
        processes that load the application: in the one that only watches files nothing is started.
        ``app.run(debug=True)`` has them, too, but does not say so before: there give ``use_reloader=False``.

        :param app: the application; the current one if left out.
        :return: whether it is this process that takes calls.
        """
        served = _current() if app is None else _of(app)
        if _only_watches_files(served.app):
            _log.debug("the reloader's parent takes no calls")
            return False
        if os.environ.get("FLASK_RUN_FROM_CLI") == "true":  # the development server
            from ..cli.run import log_to_stderr

            log_to_stderr("info")
        served.hosted.start()
        return True

    def stop(self, app: Flask | None = None, *, drain: float = 30.0) -> None:
        """End what :meth:`start` began: no new calls, ``drain`` seconds for live ones, and then they are hung up."""
        (_current() if app is None else _of(app)).hosted.stop(drain)

    # -- for the web ---------------------------------------------------------------------------------------------------

    def blueprint(self, name: str = "relay_sync") -> Blueprint:
        """Two views: ``/status`` takes status callbacks (``status_url`` of streams and recordings), ``/health`` answers
        200 or 503, with the client's state and number of calls as JSON.
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
        hooks.remember(callback)  # not before: what a failure answers with 500 comes again, and is to be handled then
        return "", 204


class _Served:
    """One application and what belongs to it."""

    def __init__(self, relay: Relay, app: Flask) -> None:
        self.relay = relay
        self.app = app
        self.hosted = Hosted(self._make)
        self._hooks = Hooks(lambda: make_webhooks(self.settings, where=f"app.config[{SETTING!r}]"))

    @property
    def settings(self) -> Mapping[str, Any]:
        """``app.config["RELAY_SYNC"]``, checked; empty if it is not set."""
        settings = self.app.config.get(SETTING) or {}
        merge(settings, {}, where=f"app.config[{SETTING!r}]", others=OTHERS)
        found: Mapping[str, Any] = settings
        return found

    @property
    def webhooks(self) -> Webhooks:
        return self._hooks.get()

    def _make(self) -> RelayClient:
        options = merge(self.settings, self.relay._options, where=f"app.config[{SETTING!r}]", others=OTHERS)
        _ = self.webhooks  # what is wrong with them is better told now than with each callback
        client = RelayClient(**options)
        for what, handler in self.relay._handlers.items():
            self.attach(client, what, handler)
        return client

    def origins(self) -> Mapping[str, str]:
        """Where the client's parameters came from, those from the environment and the defaults left out."""
        where = f"app.config[{SETTING!r}]"
        return origins(self.settings, self.relay._options, where=where, argument="Relay(...)")

    def attach(self, client: RelayClient, what: str, handler: Callable[..., object]) -> None:
        """Register a handler with the client, to be run inside the app context."""

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
    """The request's body, also where it was read before; of one that is too long only so much that this shows."""
    parts: list[bytes] = []
    size = 0
    while size <= most and (part := request.stream.read(65536)):
        parts.append(part)
        size += len(part)
    # Whoever looked at request.form has left nothing else of the body.
    return b"".join(parts) or request.get_data() or urlencode(list(request.form.items(multi=True))).encode()


def _health() -> tuple[Response, int]:
    body, status = health(_current().hosted.existing)
    return jsonify(body), status


def _only_watches_files(app: Flask) -> bool:
    """Whether this is the parent process of the development server's reloader."""
    with_reloader = os.environ.get("FLASK_RUN_FROM_CLI") == "true" and app.debug and "--no-reload" not in sys.argv
    return with_reloader and os.environ.get("WERKZEUG_RUN_MAIN") != "true"


_commands = AppGroup("relay", help="Calls over SignalWire RELAY.")


@_commands.command("run")
@click.option("--processes", default=1, show_default=True, help="How many, each with a connection of its own.")
@click.option("--drain", default=30.0, show_default=True, help="Seconds that live calls may go on at the end.")
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@click.pass_context
@with_appcontext
def _run(context: click.Context, processes: int, drain: float, log_level: str) -> None:
    """Take calls until Ctrl-C or SIGTERM, and then let live ones end."""
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
@click.option("--call", metavar="NUMBER", help="Make a test call to this number; somebody has to pick up.")
@click.option("--from", "from_", metavar="NUMBER", help="One of the project's numbers, to call from.")
@click.option("--port", type=int, default=0, help="Where the test call's audio is received.")
@click.option("--public-url", metavar="URL", help="Where the platform reaches that port: wss://...")
@click.pass_context
@with_appcontext
def _doctor(context: click.Context, /, **options: Any) -> None:
    """Say what is configured and from where, whether it works, and what to do if not."""
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
