"""The public REST client class."""

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
    """A client that sends call commands and downloads recordings over HTTP. Thread-safe, and usable after a fork.

    A new client does not connect until the first request.

    The client retries requests only if it is safe to do so. It retries any request if no connection could be established or if
    the server answers 429. Commands named ``*_stop`` and downloads are safe to repeat, so the client also retries them if the
    reply is lost or if the server answers 502, 503 or 504. The client honors ``Retry-After`` headers of up to 30 seconds, within
    the timeout.

    :param project: project ID. Defaults to the environment variable ``SIGNALWIRE_PROJECT_ID``.
    :param token: project's API token, which needs the Voice permission. Defaults to ``SIGNALWIRE_API_TOKEN``. JWTs are not
        supported.
    :param host: space's host, such as ``your-space.signalwire.com``. Defaults to ``SIGNALWIRE_SPACE``. The forms ``name:port``,
        ``https://...`` and ``wss://...`` are accepted as well. Plain HTTP requires a loopback host or ``allow_insecure``.
    :param connect_timeout: timeout for establishing a connection, including the DNS lookup, in seconds.
    :param read_timeout: timeout for each read from the connection, in seconds.
    :param request_timeout: timeout for a command including its retries, in seconds.
    :param retries: maximum number of retries per request, from 0 to 10.
    :param ca_file: PEM file with an additional trusted certificate authority. Defaults to ``SIGNALWIRE_RELAY_CA_FILE``.
    :param proxy: proxy URL, ``http://[user:password@]host:port``, or ``""`` to connect directly. By default the client uses
        ``https_proxy`` and ``no_proxy`` from the environment. It always connects to loopback hosts directly.
    :param allow_insecure: whether to allow plain HTTP to hosts other than loopback. The client then logs a warning.
    :raises InvalidParameter: a value is missing or invalid. The message names the parameter and its environment variable.
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
        """Close all threads' connections. Requests in progress on other threads are not interrupted."""
        self._exchange.close()

    def __enter__(self) -> RestClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- calls ---------------------------------------------------------------------------------------------------------

    def call(self, call_id: str) -> RemoteCall:
        """Return an object for sending commands to an existing call.

        This method sends no request. If the call does not exist, the first command raises :class:`relay_sync.CommandRefused`
        with code 404.

        :param call_id: ID of the call.
        :raises InvalidParameter: ``call_id`` is not a string or is empty.
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
        """Dial a number or SIP address (``dial``). The call is handled by a SWML document.

        Pass either ``url`` or ``swml``. Unlike ``RelayClient.dial``, this method does not wait for an answer. The client does not
        retry a request that may have been sent, because the platform might place a second call.

        :param to: number to dial in E.164 format, or a ``sip:`` address.
        :param from_: caller's number in E.164 format, which must belong to the project, or a ``sip:`` address.
        :param url: HTTP or HTTPS URL of the SWML document.
        :param swml: SWML document, as a string or a mapping.
        :param caller_id: caller ID to show to the callee.
        :param fallback_url: HTTP or HTTPS URL to use if ``url`` fails.
        :param status_url: HTTP or HTTPS URL that the platform notifies of state changes.
        :param status_events: states to report to ``status_url``: ``queued``, ``initiated``, ``ringing``, ``answered``,
            ``ending`` and ``ended``.
        :param url_method: HTTP method for ``url``: ``GET`` or ``POST``.
        :param codecs: codecs to offer, as names or as a comma-separated string.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the call. Its ``info`` is the platform's record of the call.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. No call was placed.
        :raises ConnectError: no connection could be established. Nothing was sent.
        :raises ConnectionLost: the connection was lost before the reply arrived. The call may have been placed.
        :raises RequestTimeout: the server did not reply before the timeout. The call may have been placed.
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
        """Send a command. Use this method for commands that the SDK does not support.

        :param command: name of the command, such as ``calling.ai.stop``.
        :param params: parameters of the command, which are sent unchanged.
        :param call_id: ID of the call that the command is for, or ``""`` if there is none.
        :param repeatable: whether the command may safely be executed twice. If so, it is retried if the reply is lost.
        :param timeout: timeout for the command including its retries, in seconds. Defaults to the client's ``request_timeout``.
        :return: the platform's record of the call.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectError: no connection could be established. Nothing was sent.
        :raises ConnectionLost: the connection was lost before the reply arrived. The command may have been executed.
        :raises RequestTimeout: the server did not reply before the timeout. The command may have been executed.
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
        if call_id and command != "update":  # the parameters of "update" already include the call ID
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
            # This is not the platform, whose successful replies are JSON or empty.
            message = f"{command}: the server sent a web page instead of a reply; is host the name of the space?"
            raise CommandRefused(answer.status, message, method=command, call_id=call_id)
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
        """Download a recording to a file. The file appears at its path when it is complete.

        The client writes the bytes to a partial file in the same directory. If the connection is lost, the client resumes the
        download, provided that the server supports range requests.

        Credentials are sent only to the space's host, and never after a redirect to another host. The client follows up to five
        redirects. It does not follow redirects from https to http, or from a public host to this machine or a private network.

        A recording may not be available immediately after it has ended. Pass ``wait`` to wait for it.

        :param url: URL of the recording, from ``action.url`` or from ``url`` of a
            :class:`relay_sync.webhooks.RecordingStatus`. Verify a webhook before you use its URL. A forged webhook could make
            your server fetch any URL.
        :param path: path of the file. An existing file is replaced. The directory must exist.
        :param progress: whether to show the progress on standard error if it is a terminal. If ``rich`` is installed, the client
            shows a progress bar.
        :param on_progress: function that is called with the number of bytes received so far and the total number. The total is
            ``None`` if the server does not send it.
        :param max_bytes: maximum size of the file, in bytes. Defaults to 1 GiB. A larger file raises
            :class:`relay_sync.DownloadFailed`.
        :param resume: whether to resume from ``<path>.part`` if an earlier download was interrupted. A second download to the
            same path is then refused while the first one is running, even in another process if the file system supports locks.
            If false, each download uses a separate partial file, and the last one to finish replaces the file.
        :param wait: time to wait for a recording that is not available yet, in seconds. The request is repeated while the server
            answers with 202, 204, 404, 425, an empty file or a ``Retry-After`` header. ``None`` does not wait.
        :param timeout: timeout for the whole download including retries and waits, in seconds.
        :return: the downloaded file.
        :raises DownloadFailed: the server rejected the request, or sent an HTML page, JSON, an empty file or inconsistent parts.
            Also raised if the file is too large, is not available before the timeout or cannot be written, or if a redirect is
            not followed.
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
