"""The front door of the REST side."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Final, Literal

from ..config import Config
from ..constants import MAX_FRAME
from ..deadline import Deadline
from ..errors import CommandRefused, InvalidParameter
from ..params import nested, values
from ..text.secrecy import Secrets, keep
from .commands import RemoteCall
from .download import Download, Order, fetch
from .exchange import Exchange
from .replies import CallInfo, read_call, refusal

__all__ = ["RestClient"]

PLACE: Final = "/api/calling/calls"
_EVENTS: Final = ("answered", "queued", "initiated", "ringing", "ending", "ended")
DOWNLOAD_LIMIT: Final = 2**30

StatusEvent = Literal["answered", "queued", "initiated", "ringing", "ending", "ended"]


class RestClient:
    """Call commands and downloads over HTTP. May be used from any thread and after a fork; nothing is sent before it is.

    What is left out is taken from the environment, as by :class:`relay_sync.RelayClient`.

    :param project: the project's id (``SIGNALWIRE_PROJECT_ID``). :param token: its API token, which needs the permission for
        voice (``SIGNALWIRE_API_TOKEN``). A JWT is of no use here.
    :param host: of the space, such as ``your-space.signalwire.com`` (``SIGNALWIRE_SPACE``); ``name:port``, ``https://...``
        and ``wss://...`` are taken too. Plain HTTP only to loopback.
    :param connect_timeout: seconds for a connection, looking up the name included.
    :param read_timeout: seconds for each single read. :param request_timeout: seconds for a command in all, with its
        repetitions.
    :param retries: how often at most a request is sent again, where that is safe: if no connection came about or the server
        says that it takes no more for now (429), and what may be done twice (every ``*_stop``, downloads) also if the answer
        was lost or the server is in trouble. ``Retry-After`` is kept to, if it is at most 30 s and within the time.
    :param ca_file: PEM file of an additional authority to trust (``SIGNALWIRE_RELAY_CA_FILE``).
    :param proxy: ``http://[user:password@]host:port``; ``""`` for none. By default the environment decides (``https_proxy``,
        ``no_proxy``). Loopback never goes through a proxy.
    :param allow_insecure: plain HTTP to other hosts, with a warning.
    :raises InvalidParameter: naming the parameter, and its variable.
    """

    def __init__(
        self,
        project: str | None = None,
        token: str | None = None,
        host: str | None = None,
        *,
        connect_timeout: float = 10.0,
        read_timeout: float = 10.0,
        request_timeout: float = 30.0,
        retries: int = 2,
        ca_file: str | os.PathLike[str] | None = None,
        proxy: str | None = None,
        allow_insecure: bool = False,
    ) -> None:
        if host is None and not os.environ.get("SIGNALWIRE_SPACE"):
            accepted = "the host of your space, such as your-space.signalwire.com (or SIGNALWIRE_SPACE)"
            raise InvalidParameter("host", host, accepted)
        self._config = Config.gather(
            project=project,
            token=token,
            jwt_token="",
            host=host,
            contexts=None,
            max_active_calls=1,
            ca_file=ca_file,
            proxy=proxy,
            allow_insecure=allow_insecure,
            connect_timeout=connect_timeout,
            request_timeout=request_timeout,
            ping_interval=15.0,
            ping_timeout=5.0,
            max_frame=MAX_FRAME,
            max_queue=1,
        )
        self._secrets = keep(Secrets(*self._config.secrets))
        self._allow_insecure = allow_insecure
        self._exchange = Exchange(
            self._config,
            read_timeout=values.seconds("read_timeout", read_timeout) or read_timeout,
            retries=values.whole("retries", retries, low=0, high=10) or 0,
        )

    def __repr__(self) -> str:
        return f"<RestClient {self._exchange.base}{' closed' if self._exchange.closed else ''}>"

    def close(self) -> None:
        """Close the connections of all threads. Idempotent; a request under way in another thread ends by itself."""
        self._exchange.close()

    def __enter__(self) -> RestClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- calls ---------------------------------------------------------------------------------------------------------

    def call(self, call_id: str) -> RemoteCall:
        """The call of that id, to send commands to. Nothing is asked: whether there is one shows with the first command."""
        name = values.text("call_id", call_id, optional=False) or ""
        return RemoteCall(name, self._send)

    def dial(
        self,
        *,
        to: str,
        from_: str,
        url: str | None = None,
        swml: str | Mapping[str, Any] | None = None,
        caller_id: str | None = None,
        fallback_url: str | None = None,
        status_url: str | None = None,
        status_events: Iterable[StatusEvent | str] | None = None,
        url_method: Literal["GET", "POST"] | str | None = None,
        codecs: Iterable[str] | str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> RemoteCall:
        """Call somebody (``dial``). Unlike ``RelayClient.dial`` it does not wait for an answer, and a SWML document says what
        happens then. Never repeated by itself once it may have been sent, for it would call twice.

        :param to: number in E.164 form, or ``sip:`` address. :param from_: likewise; a number of the project.
        :param url: http(s) URL of the document that handles the call, or :param swml: that document, as text or object: one
            of the two. :param url_method: how ``url`` is asked for. :param fallback_url: where to look if ``url`` fails.
        :param caller_id: shown to the called party. :param codecs: what may be spoken.
        :param status_url: http(s) URL that is told of :param status_events: ``queued``, ``initiated``, ``ringing``,
            ``answered``, ``ending``, ``ended``.
        :return: the call; its ``info`` is what the platform says about it.
        """
        if (url is None) == (swml is None):
            raise InvalidParameter("url", url, "given, or swml, but not both", secret=values.may_hold_secrets(url))
        params = {
            "to": values.text("to", to, optional=False),
            "from": values.text("from_", from_, optional=False),
            "url": values.http_url("url", url),
            "swml": None if swml is None else nested.destination("swml", swml),
            "caller_id": values.text("caller_id", caller_id),
            "fallback_url": values.http_url("fallback_url", fallback_url),
            "status_url": values.http_url("status_url", status_url),
            "status_events": values.choices("status_events", status_events, _EVENTS),
            "url_method": values.choice("url_method", url_method, ("GET", "POST")),
            "codecs": _codecs(codecs),
        }
        info = self._send("dial", values.merge_extra(params, extra, ()), call_id="", repeatable=False)
        return RemoteCall(info.call_id, self._send, info)

    def command(
        self,
        command: str,
        params: Mapping[str, Any] | None = None,
        *,
        call_id: str = "",
        repeatable: bool = False,
        timeout: float | None = None,
    ) -> CallInfo:
        """Send a command that this SDK has no method for.

        :param command: such as ``calling.ai.stop``. :param params: as the wire wants them. :param call_id: of the call that
            it is for. :param repeatable: whether it may be sent again when its answer was lost.
        :param timeout: seconds, instead of the client's ``request_timeout``.
        """
        name = values.text("command", command, optional=False) or ""
        if call_id != "":
            values.text("call_id", call_id, optional=False)
        limit = values.timeout(timeout)
        sent = values.json_object("params", {} if params is None else params) or {}
        return self._send(name, sent, call_id=call_id, repeatable=repeatable, timeout=limit)

    def _send(
        self,
        command: str,
        params: Mapping[str, Any],
        *,
        call_id: str,
        repeatable: bool,
        timeout: float | None = None,
    ) -> CallInfo:
        body: dict[str, Any] = {"command": command, "params": params}
        if call_id and command != "update":  # which has it among its parameters
            body["id"] = call_id
        self._secrets.learn_from(params)
        limit = self._config.request_timeout if timeout is None else timeout
        answer = self._exchange.post(
            PLACE,
            json.dumps(body, allow_nan=False).encode(),
            what=command,
            deadline=Deadline.after(time.monotonic(), limit),
            repeatable=repeatable,
        )
        if not 200 <= answer.status < 300:
            raise refusal(answer.status, answer.body, command=command, call_id=call_id, sent=params)
        if answer.headers.get("Content-Type", "").partition(";")[0].strip().lower() == "text/html":
            # Somebody's web page: a success of the platform is JSON, or empty.
            told = f"{command}: a web page came instead of an answer; is host the name of the space?"
            raise CommandRefused(answer.status, told, method=command, call_id=call_id)
        return read_call(answer.body, call_id)

    # -- recordings ----------------------------------------------------------------------------------------------------

    def download(
        self,
        url: str,
        path: str | os.PathLike[str],
        *,
        on_progress: Callable[[int, int | None], object] | None = None,
        progress: bool = False,
        max_bytes: int = DOWNLOAD_LIMIT,
        resume: bool = True,
        wait: float | None = None,
        timeout: float = 600.0,
    ) -> Download:
        """Save a recording. The file is complete, or it is not there: it grows under another name beside it.

        A connection that breaks is resumed where it broke if the server can do that. The credentials go to the space's own
        host alone, and not back to it over a redirect through another one. A redirect is followed up to five times, never
        from https to http, and never from a public host to this machine or a private network.

        :param url: where it is: ``action.url`` of a recording, or that of a :class:`~relay_sync.webhooks.RecordingStatus`.
            Take it from a webhook only if that is verified: who can forge one chooses what your server fetches.
        :param path: of the file to write, replacing what is there; its directory must exist.
        :param on_progress: called with the bytes that are there and the bytes in all, ``None`` where the server does not say.
        :param progress: show it on standard error if that is a terminal, with rich where that is installed.
        :param max_bytes: a larger file is refused.
        :param resume: also resume what an earlier attempt has left (``<path>.part``). Another download to *path* is refused
            meanwhile, also one of another process where the file system keeps locks. Without it each has a file of its own,
            and the last one to end replaces what is there.
        :param wait: seconds to wait for a recording that is not there yet, as it may be just after its end: while the server
            answers 202, 204, 404, 425 or an empty file, or names a ``Retry-After``, it is asked again, within *timeout*.
            ``None`` does not wait.
        :param timeout: seconds in all.
        :raises DownloadFailed: the server will not give it out, sends a page (HTML, JSON or XML) in its place, an empty file
            or parts that do not fit, it is too large or not there in time, it leads where it is not followed, or it cannot be
            written.
        :raises InvalidParameter: an ``AudioServer`` of this process is recording to *path*.
        :raises ConnectError: the last attempt made no connection.
        :raises ConnectionLost: the last attempt broke.
        :raises RequestTimeout: time is up.
        """
        order = Order(
            url=values.http_url("url", url, optional=False) or "",
            path=values.path("path", path, "a file's path in a directory that exists"),
            on_progress=None if on_progress is None else values.handler("on_progress", on_progress, ("there", "total")),
            show=bool(values.flag("progress", progress)),
            max_bytes=values.whole("max_bytes", max_bytes, low=1) or DOWNLOAD_LIMIT,
            resume=bool(values.flag("resume", resume)),
            wait=values.timeout(wait, name="wait"),
            allow_insecure=self._allow_insecure,
            retries=self._exchange.retries,
        )
        return fetch(self._exchange, order, Deadline.after(time.monotonic(), values.timeout(timeout, optional=False)))


def _codecs(value: Any) -> str | list[str] | None:
    found = values.text("codecs", value) if isinstance(value, str) else values.texts("codecs", value)
    for word in found.split(",") if isinstance(found, str) else found or ():
        values.refuse_misnamed_codec("codecs", word)
    return found
