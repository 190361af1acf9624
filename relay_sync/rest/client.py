"""RestClient: credentials, commands and downloads over HTTP."""

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
    """Sends call commands and downloads recordings over HTTP. Safe to use from any thread and after a fork.

    Creating a client sends nothing. Parameters that are left out are read from the environment, as for
    :class:`relay_sync.RelayClient`.

    A request is retried only where that is safe. Every request is retried if no connection was established or if the server
    answered 429. A request that may be carried out twice (a ``*_stop`` command or a download) is also retried if its reply was
    lost or the server answered 502, 503 or 504. The client honors ``Retry-After`` up to 30 seconds and within the timeout.

    :param project: id of the project; defaults to ``SIGNALWIRE_PROJECT_ID``.
    :param token: API token of the project, with the Voice permission; defaults to ``SIGNALWIRE_API_TOKEN``. JWTs are not
        supported here.
    :param host: host of the space, such as ``your-space.signalwire.com``; defaults to ``SIGNALWIRE_SPACE``. ``name:port``,
        ``https://...`` and ``wss://...`` are accepted too, plain HTTP only for loopback.
    :param connect_timeout: seconds to establish a connection, including the name lookup.
    :param read_timeout: seconds for each read from the connection.
    :param request_timeout: seconds for a command, including its retries.
    :param retries: maximum number of retries of a request, 0 to 10.
    :param ca_file: PEM file with an additional certificate authority to trust; defaults to ``SIGNALWIRE_RELAY_CA_FILE``.
    :param proxy: ``http://[user:password@]host:port``, or ``""`` for none; defaults to the environment (``https_proxy``,
        ``no_proxy``). Loopback never goes through a proxy.
    :param allow_insecure: whether to allow plain HTTP to hosts other than loopback, with a warning.
    :raises InvalidParameter: a value is missing or invalid; the message names the parameter and its environment variable.
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
        """Close the connections of all threads. Idempotent. Requests in progress in other threads finish."""
        self._exchange.close()

    def __enter__(self) -> RestClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- calls ---------------------------------------------------------------------------------------------------------

    def call(self, call_id: str) -> RemoteCall:
        """Return the call with this id, to send commands to. No request is sent: if the call does not exist, the first command
        raises :class:`~relay_sync.CommandRefused` with code 404.

        :param call_id: id of the call.
        :raises InvalidParameter: ``call_id`` is not text or is empty.
        """
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
        """Dial a number or SIP address (``dial``). A SWML document handles the call: pass exactly one of ``url`` and ``swml``.

        Unlike ``RelayClient.dial``, this does not wait for an answer. The request is never retried once it may have been sent,
        because that would place a second call.

        :param to: number to dial in E.164 format, or a ``sip:`` address.
        :param from_: number of the project to dial from in E.164 format, or a ``sip:`` address.
        :param url: http(s) URL of the SWML document.
        :param swml: the SWML document, as text or as a mapping.
        :param caller_id: caller id to show to the callee.
        :param fallback_url: http(s) URL to use if ``url`` fails.
        :param status_url: http(s) URL that the platform notifies of state changes.
        :param status_events: states to notify ``status_url`` of: ``queued``, ``initiated``, ``ringing``, ``answered``,
            ``ending``, ``ended``.
        :param url_method: HTTP method for ``url``: ``GET`` or ``POST``.
        :param codecs: codecs to offer: names, or text with names separated by commas.
        :param extra: additional wire parameters that this SDK does not define.
        :return: the call; its ``info`` is the platform's record.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command; no call was placed.
        :raises ConnectError: no connection could be established; nothing was sent.
        :raises ConnectionLost: the connection closed before the reply arrived; the call may have been placed.
        :raises RequestTimeout: the server did not reply before the timeout; the call may have been placed.
        """
        if (url is None) == (swml is None):
            raise InvalidParameter("url", url, "exactly one of url and swml", secret=values.may_hold_secrets(url))
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

        :param command: name of the command, such as ``calling.ai.stop``.
        :param params: the command's wire parameters, sent unchanged.
        :param call_id: id of the call that the command addresses; ``""`` for none.
        :param repeatable: whether the command may be carried out twice, and so is retried if its reply was lost.
        :param timeout: seconds for the command, including its retries; defaults to the client's ``request_timeout``.
        :return: the platform's record of the call.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectError: no connection could be established; nothing was sent.
        :raises ConnectionLost: the connection closed before the reply arrived; the command may have been carried out.
        :raises RequestTimeout: the server did not reply before the timeout; the command may have been carried out.
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
            # Not the platform: its successful replies are JSON or empty.
            told = f"{command}: the server sent a web page instead of a reply; is host the name of the space?"
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
        """Download a recording to a file. The file appears only when it is complete.

        The bytes are collected in a second file in the same directory. If the connection closes early, the download continues
        from there, provided that the server supports ranges. The credentials are sent only to the space's own host, and no
        longer once a redirect has led to another host. Up to five redirects are followed, but never from https to http, nor
        from a public host to this machine or a private network.

        A recording may become available only some time after it ended: pass ``wait``.

        :param url: URL of the recording: ``action.url``, or ``url`` of a :class:`~relay_sync.webhooks.RecordingStatus`. Verify
            a webhook before you use its URL: otherwise a forged webhook decides what your server fetches.
        :param path: file to write; an existing file is replaced. Its directory must exist.
        :param progress: whether to show the progress on standard error if that is a terminal; a bar if ``rich`` is installed.
        :param on_progress: called with the bytes received so far and the total, which is ``None`` if the server does not give it.
        :param max_bytes: maximum size of the file in bytes; a larger file raises :class:`~relay_sync.DownloadFailed`.
        :param resume: whether to continue what an earlier download left in ``<path>.part``. A second download to the same path is
            then refused while the first is running, even in another process if the file system supports locks. If false, each
            download uses a file of its own, and the last to finish replaces the others.
        :param wait: seconds to wait for a recording that is not available yet: the request is repeated while the server answers
            202, 204, 404, 425, an empty file or with ``Retry-After``. ``None`` does not wait.
        :param timeout: seconds for the download, including all retries and waits.
        :return: the saved file.
        :raises DownloadFailed: the server refused the request; sent a page (HTML, JSON or XML), an empty file or inconsistent
            parts; the file is too large or was not available before the timeout; a redirect was not followed; or the file
            cannot be written.
        :raises InvalidParameter: a value is invalid, or an ``AudioServer`` of this process is recording to ``path``.
        :raises ConnectError: the last attempt could not connect.
        :raises ConnectionLost: the connection closed during the last attempt.
        :raises RequestTimeout: the timeout expired.
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
