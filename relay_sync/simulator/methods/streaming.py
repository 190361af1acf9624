"""Media streams: ``calling.stream`` and ``calling.stream.stop``.

SignalWire documents the error codes 400 and 409, but not when they are used. Like the platform, the simulator requires ``wss://``
URLs. It also accepts ``ws://`` URLs for loopback hosts.

The codec parameter is freeform, so unknown codecs are accepted. The simulator cannot encode them, and the stream ends immediately
with the state ``finished``. So does a G.722 or Opus stream if the ``codecs`` extra is not installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ...hosts.names import is_loopback
from ..media.formats import parse_codec
from ..media.stream import Stream, open_stream
from .request import CommandRequest, Handler

__all__ = ["HANDLERS", "stream_problems", "url_problem"]

# Track names in media messages, by the value of the parameter.
_TRACKS = {
    "inbound_track": ("inbound",),
    "outbound_track": ("outbound",),
    "both_tracks": ("inbound", "outbound"),
}


def url_problem(name: str, url: str, schemes: tuple[str, ...]) -> str | None:
    """Return an error message if a URL is invalid, or ``None``.

    :param name: parameter name to use in the message.
    :param url: URL to validate.
    :param schemes: allowed schemes.
    """
    if not url.isascii() or not url.isprintable() or " " in url:
        return f"{name} contains characters that are not allowed in a URL"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return f"{name} is not a URL"
    if parts.scheme not in schemes or not parts.hostname or port == 0:
        return f"{name} must be an absolute {' or '.join(schemes)} URL"
    # Webhook URLs may contain credentials for basic authentication. WebSocket endpoints use a bearer token instead.
    if "#" in url or (parts.scheme in ("ws", "wss") and (parts.username is not None or parts.password is not None)):
        return f"{name} must not contain credentials or a fragment"
    if parts.scheme == "ws" and not is_loopback(parts.hostname):
        return f"{name} must be a wss URL"
    return None


def stream_problems(params: Mapping[str, Any]) -> dict[str, str]:
    """Validate the parameters of a stream or a stream device. Return error messages by parameter name."""
    found: dict[str, str | None] = {"url": url_problem("url", params["url"], ("wss", "ws"))}
    if "status_url" in params:
        found["status_url"] = url_problem("status_url", params["status_url"].partition("#")[0], ("http", "https"))
    token = params.get("authorization_bearer_token", "")
    if not token.isascii() or not token.isprintable():
        found["authorization_bearer_token"] = "authorization_bearer_token must be printable ASCII"
    try:
        parse_codec(params.get("codec"), 20)
    except ValueError as problem:
        found["codec"] = str(problem)
    return {name: problem for name, problem in found.items() if problem}


def _stream(request: CommandRequest) -> None:
    call, params = request.call, request.params
    problems = stream_problems(params)
    if problems:
        request.refuse(400, "; ".join(problems.values()), problems)
        return
    if call.state != "answered":
        # This error is not documented. Without it, the stream would be open but contain no audio.
        request.refuse(409, "Call is not answered")
        return
    if call.flowing(params["control_id"]) is not None:
        request.refuse(409, "A stream with this control_id is already active")
        return
    request.accept()
    tracks = _TRACKS[params.get("track", "inbound_track")]
    open_stream(Stream, request.world, call, params, control_id=params["control_id"], tracks=tracks)


def _stop(request: CommandRequest) -> None:
    stream = request.call.flowing(request.params["control_id"])
    if stream is None:
        # The error is not documented. Unknown calls also get 404.
        request.refuse(404, "Stream not found")
        return
    request.accept()
    stream.finish("stopped")


HANDLERS: Mapping[str, Handler] = {"calling.stream": _stream, "calling.stream.stop": _stop}
