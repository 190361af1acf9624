"""Checks of what users pass to verbs: each returns the wire's form or raises InvalidParameter, before anything is sent."""

from __future__ import annotations

import inspect
import re
import urllib.parse
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final

from ..config import is_loopback
from ..errors import InvalidParameter
from ..protocol.frames import check_json

__all__ = [
    "bearer_token",
    "choice",
    "codec",
    "handler",
    "http_url",
    "json_object",
    "merge_extra",
    "stream_url",
    "text",
    "track",
]

_TRACKS: Final = {
    "inbound": "inbound_track",
    "outbound": "outbound_track",
    "both": "both_tracks",
    "inbound_track": "inbound_track",
    "outbound_track": "outbound_track",
    "both_tracks": "both_tracks",
}
#: The usual names; the field is freeform (STREAM, "Codec vocabulary").
_CODECS: Final = ("PCMU", "PCMA", "OPUS", "L16", "G722")
_CODEC_FORM: Final = re.compile(r"([A-Za-z0-9]+)((?:@\d{1,6}[hicHIC])*)")
_CODEC_ACCEPTED: Final = (
    "a codec such as 'PCMU', 'PCMA', 'OPUS', 'L16' or 'G722', with @<hz>h and @<ms>i behind it if needed"
)


def text(name: str, value: Any, *, optional: bool = True) -> str | None:
    """Any text that is not empty, or ``None`` where that is allowed."""
    if value is None and optional:
        return None
    if not isinstance(value, str) or not value:
        raise InvalidParameter(name, value, "non-empty text" + (" or None" if optional else ""))
    return value


def choice(name: str, value: Any, accepted: tuple[str, ...]) -> str | None:
    """One of a few words in any case; the word as it stands in ``accepted``."""
    if value is None:
        return None
    if isinstance(value, str):
        for word in accepted:
            if word.lower() == value.lower():
                return word
    raise InvalidParameter(name, value, f"one of {', '.join(map(repr, accepted))}")


def track(value: Any) -> str | None:
    """``inbound``, ``outbound``, ``both`` or the wire's ``*_track`` spellings; the schemas want the latter."""
    if value is None:
        return None
    found = _TRACKS.get(value.lower()) if isinstance(value, str) else None
    if found is None:
        raise InvalidParameter("track", value, "'inbound', 'outbound' or 'both' (or the *_track spellings)")
    return found


def codec(value: Any) -> str | None:
    """A codec with its modifiers: the base in upper case, one channel."""
    if value is None:
        return None
    found = _CODEC_FORM.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise InvalidParameter("codec", value, _CODEC_ACCEPTED)
    base, modifiers = found[1].upper(), []
    for modifier in found[2].lower().split("@")[1:]:
        if int(modifier[:-1]) == 0:
            raise InvalidParameter("codec", value, _CODEC_ACCEPTED)
        if modifier.endswith("c"):
            if int(modifier[:-1]) != 1:
                raise InvalidParameter("codec", value, "of one channel: streams are mono")
            continue  # one channel is what there is; the wire has no word for it
        modifiers.append(f"@{modifier}")
    if base not in _CODECS:
        warnings.warn(
            f"codec {base!r} is none of {', '.join(_CODECS)}; it is sent as it is, and the server may refuse it",
            stacklevel=4,
        )
    return base + "".join(modifiers)


def _split(name: str, value: Any, accepted: str) -> urllib.parse.SplitResult:
    if not isinstance(value, str) or not value.isprintable() or " " in value:
        raise InvalidParameter(name, value, accepted)
    try:
        parts = urllib.parse.urlsplit(value)
        port = parts.port
    except ValueError:
        raise InvalidParameter(name, value, accepted) from None
    if not parts.hostname or port == 0 or "\\" in value:
        raise InvalidParameter(name, value, accepted)
    if parts.username is not None or parts.password is not None:
        raise InvalidParameter(name, value, f"{accepted}, without credentials in it", secret=True)
    return parts


def stream_url(value: Any, name: str = "url") -> str:
    """Where audio may go: ``wss://``, or ``ws://`` on this machine (STREAM: plain ``ws`` is refused by the platform)."""
    accepted = "an absolute wss://host[:port]/path (ws:// only for loopback)"
    parts = _split(name, value, accepted)
    if parts.scheme not in ("ws", "wss") or (parts.scheme == "ws" and not is_loopback(parts.hostname or "")):
        raise InvalidParameter(name, value, accepted)
    if "#" in value:
        raise InvalidParameter(name, value, f"{accepted}, without a fragment")
    return str(value)


def http_url(name: str, value: Any) -> str | None:
    """An absolute http or https URL; the fragment is left alone, for the platform reads time limits from it."""
    if value is None:
        return None
    accepted = "an absolute http:// or https:// URL"
    # Credentials are legal here: the platform uses them for basic authentication.
    if not isinstance(value, str) or not value.isprintable() or " " in value:
        raise InvalidParameter(name, value, accepted)
    try:
        parts = urllib.parse.urlsplit(value)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise InvalidParameter(name, value, accepted, secret="@" in value)
    return value


def bearer_token(value: Any, name: str = "authorization_bearer_token") -> str | None:
    """The bare token: the platform puts ``Bearer`` in front of it (REST description)."""
    if value is None:
        return None
    accepted = "a bearer token: printable ASCII without blanks"
    if not isinstance(value, str):
        raise InvalidParameter(name, value, accepted, secret=True)
    bare = value[7:].strip() if value[:7].lower() == "bearer " else value
    if not bare or not bare.isascii() or not bare.isprintable() or " " in bare:
        raise InvalidParameter(name, value, accepted, secret=True)
    return bare


def json_object(name: str, value: Any) -> dict[str, Any] | None:
    """A mapping with string keys whose values JSON can express."""
    if value is None:
        return None
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InvalidParameter(name, value, "a mapping with string keys and JSON values")
    copy = dict(value)
    check_json(name, copy)
    return copy


def handler(name: str, value: Any) -> Callable[..., Any]:
    """A plain callable: a coroutine function would never run."""
    if not callable(value):
        raise InvalidParameter(name, value, "a function")
    called = inspect.unwrap(getattr(value, "func", value))
    if inspect.iscoroutinefunction(called) or inspect.iscoroutinefunction(type(called).__call__):
        raise InvalidParameter(name, value, "a plain function: remove async, and block where you would have awaited")
    if inspect.isasyncgenfunction(called):
        raise InvalidParameter(name, value, "a plain function, not an async generator")
    return value  # type: ignore[no-any-return]


def merge_extra(params: dict[str, Any], extra: Any, known: tuple[str, ...]) -> dict[str, Any]:
    """Drop what was left out, and add parameters that this SDK does not know yet."""
    merged = {name: value for name, value in params.items() if value is not None}
    if extra is None:
        return merged
    addition = json_object("extra", extra) or {}
    for name in addition:
        if name in params or name in known:
            raise InvalidParameter("extra", name, f"without {name!r}: give that one by its own keyword")
    return {**merged, **addition}
