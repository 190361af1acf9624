"""Validation of single values, such as strings, numbers, choices, times, phone numbers, URLs, codecs, JSON and handlers.

Each function returns the value in the form that the server expects. It raises ``InvalidParameter`` if the value is
invalid. If ``optional`` is true, it also accepts ``None``, which means that the parameter is omitted.
"""

from __future__ import annotations

import inspect
import json
import math
import os
import re
import urllib.parse
import warnings
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType, MethodType
from typing import Any, Final, Literal, TypeVar, overload

from ..errors import InvalidParameter
from ..hosts.names import is_loopback
from ..text import codec_names
from ..text.json_text import IN_RANGE, has_huge
from ..text.surrogates import WHOLE_TEXT, has_half, is_text
from ..text.wording import either
from .parties import is_caller, is_party, is_phone_number, is_sender, is_sip_address, without_marks

__all__ = [
    "address",
    "bearer_token",
    "caller",
    "check_json",
    "choice",
    "choices",
    "codec",
    "codec_choice",
    "codec_choices",
    "decimal",
    "decorator",
    "dtmf",
    "flag",
    "handler",
    "http_url",
    "json_list",
    "json_object",
    "json_value",
    "mapping",
    "may_hold_secrets",
    "merge_extra",
    "number",
    "party",
    "path",
    "phone_number",
    "refuse_misnamed_codec",
    "seconds",
    "secret",
    "sender",
    "sip_address",
    "status_callback",
    "stream_url",
    "text",
    "texts",
    "timeout",
    "track",
    "unseen",
    "whole",
]

F = TypeVar("F", bound=Callable[..., Any])

_TRACKS: Final = {
    "inbound": "inbound_track",
    "outbound": "outbound_track",
    "both": "both_tracks",
    "inbound_track": "inbound_track",
    "outbound_track": "outbound_track",
    "both_tracks": "both_tracks",
}
_PARTY: Final = "a telephone number such as '+15550100', or a SIP address such as 'sip:desk@example.com'"
_CODEC_FORM: Final = re.compile(r"([A-Za-z0-9]+)((?:@\d{1,6}[hicHIC])*)")
_CODEC_ACCEPTED: Final = (
    "a codec such as 'PCMU', 'PCMA', 'OPUS', 'L16' or 'G722', optionally followed by @<hz>h and @<ms>i"
)


def text(name: str, value: Any, *, optional: bool = True) -> str | None:
    """Check a non-empty string."""
    if value is None and optional:
        return None
    if not isinstance(value, str) or not value:
        raise InvalidParameter(name, value, "a non-empty string" + (" or None" if optional else ""))
    if not is_text(value):
        raise InvalidParameter(name, value, WHOLE_TEXT)
    return value


def phone_number(name: str, value: Any, *, optional: bool = True) -> str | None:
    """Check a phone number and return it without invisible characters."""
    return _readable(name, value, is_phone_number, "a telephone number such as '+15550100'", optional)


def sip_address(name: str, value: Any, *, optional: bool = True) -> str | None:
    """Check a SIP address and return it without invisible characters."""
    return _readable(name, value, is_sip_address, "a SIP address such as 'sip:desk@example.com'", optional)


def party(name: str, value: Any, *, optional: bool = True) -> str | None:
    """Check a phone number or SIP address and return it without invisible characters."""
    return _readable(name, value, is_party, _PARTY, optional)


def caller(name: str, value: Any) -> str | None:
    """Check a caller and return it without invisible characters.

    A caller is a phone number, a SIP address, or a word such as ``anonymous``.
    """
    return _readable(name, value, is_caller, f"{_PARTY}, or 'anonymous'", optional=False)


def sender(name: str, value: Any, *, optional: bool = True) -> str | None:
    """Check a message's sender and return it without invisible characters.

    A sender is a phone number or a name.
    """
    accepted = "a telephone number such as '+15550100', or the name of a sender"
    return _readable(name, value, is_sender, accepted, optional)


def address(name: str, value: Any, *, optional: bool = True) -> str | None:
    """Check a resource address, such as ``/public/desk``, and return it without invisible characters."""
    accepted = "an address such as '/public/desk', without spaces"
    return _readable(name, value, lambda text: text.isprintable() and " " not in text, accepted, optional)


def _readable(name: str, value: Any, good: Callable[[str], bool], accepted: str, optional: bool) -> str | None:
    given = text(name, value, optional=optional)
    if given is None:
        return None
    read = without_marks(given)
    if not read or not good(read):
        raise InvalidParameter(name, value, accepted)
    return read


def choice(name: str, value: Any, accepted: tuple[str, ...]) -> str | None:
    """Check that a value is one of several words, ignoring case, and return the word as spelled in ``accepted``."""
    if value is None:
        return None
    if isinstance(value, str):
        for word in accepted:
            if word.lower() == value.lower():
                return word
    raise InvalidParameter(name, value, either(accepted))


def choices(name: str, value: Any, accepted: tuple[str, ...]) -> list[str] | None:
    """Check a list of words as :func:`choice` does."""
    words = texts(name, value)
    return None if words is None else [choice(name, word, accepted) or word for word in words]


def track(value: Any) -> str | None:
    """Check an audio track and return its wire name.

    The accepted values are ``inbound``, ``outbound``, ``both``, and the wire names, which end with ``_track``.
    """
    if value is None:
        return None
    found = _TRACKS.get(value.lower()) if isinstance(value, str) else None
    if found is None:
        raise InvalidParameter("track", value, "'inbound', 'outbound' or 'both' (or the *_track spellings)")
    return found


def refuse_misnamed_codec(name: str, value: Any, accepted: tuple[str, ...] = codec_names.USUAL) -> None:
    """Reject names of containers, file formats or other programs' codecs, and suggest the correct name."""
    if not isinstance(value, str) or value in codec_names.USUAL:
        return
    meant = codec_names.advice(value, accepted)
    if meant:
        raise InvalidParameter(name, value, meant)


def codec_choice(name: str, value: Any, accepted: tuple[str, ...]) -> str | None:
    """Check that a value is one of several codecs, ignoring case, and return the codec as spelled in ``accepted``."""
    refuse_misnamed_codec(name, value, accepted)
    return choice(name, value, accepted)


def codec_choices(name: str, value: Any, accepted: tuple[str, ...]) -> list[str] | None:
    """Check a list of codecs as :func:`codec_choice` does."""
    words = texts(name, value)
    return None if words is None else [codec_choice(name, word, accepted) or word for word in words]


def codec(value: Any, name: str = "codec", *, others: bool = True) -> str | None:
    """Check a codec with optional modifiers, and return it with the name in uppercase.

    :param value: codec to check.
    :param name: parameter name, for error messages.
    :param others: whether to accept an uncommon codec with a warning.
    """
    if value is None:
        return None
    refuse_misnamed_codec(name, value)
    found = _CODEC_FORM.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise InvalidParameter(name, value, _CODEC_ACCEPTED)
    base, modifiers = found[1].upper(), []
    for modifier in found[2].lower().split("@")[1:]:
        if int(modifier[:-1]) == 0:
            raise InvalidParameter(name, value, _CODEC_ACCEPTED)
        if modifier.endswith("c"):
            if int(modifier[:-1]) != 1:
                raise InvalidParameter(name, value, "a codec with one channel: streams are mono")
            continue  # mono is the only possibility, and the protocol has no modifier for it
        modifiers.append(f"@{modifier}")
    if base not in codec_names.USUAL:
        usual = ", ".join(codec_names.USUAL)
        if not others:
            raise InvalidParameter(name, value, f"one of {usual}, optionally followed by @<hz>h and @<ms>i")
        warnings.warn(
            f"codec {base!r} is none of {usual}; it is sent unchanged, and the server may reject it", stacklevel=3
        )
    return base + "".join(modifiers)


def may_hold_secrets(url: object) -> bool:
    """Return whether a URL may contain secrets, such as credentials before the host or a token in the query.

    The value may be of any type. A value that is not a string or a number is assumed to contain secrets.
    """
    if isinstance(url, str):
        return "@" in url or "?" in url
    return url is not None and not isinstance(url, (int, float))


def _split(name: str, value: Any, accepted: str) -> urllib.parse.SplitResult:
    secret = may_hold_secrets(value)
    if not isinstance(value, str) or not value.isprintable() or " " in value:
        raise InvalidParameter(name, value, accepted, secret=secret)
    try:
        parts = urllib.parse.urlsplit(value)
        port = parts.port
    except ValueError:
        raise InvalidParameter(name, value, accepted, secret=secret) from None
    if not parts.hostname or port == 0 or "\\" in value:
        raise InvalidParameter(name, value, accepted, secret=secret)
    if parts.username is not None or parts.password is not None:
        raise InvalidParameter(name, value, f"{accepted}, without credentials in it", secret=True)
    return parts


def stream_url(value: Any, name: str = "url") -> str:
    """Check an audio receiver's URL. It must use ``wss://``, or ``ws://`` for a loopback host.

    The platform rejects ``ws://`` URLs for other hosts.
    """
    accepted = "an absolute wss://host[:port]/path (ws:// only for loopback)"
    parts = _split(name, value, accepted)
    if parts.scheme not in ("ws", "wss") or (parts.scheme == "ws" and not is_loopback(parts.hostname)):
        raise InvalidParameter(name, value, accepted, secret=may_hold_secrets(value))
    if "#" in value:
        raise InvalidParameter(name, value, f"{accepted}, without a fragment", secret=may_hold_secrets(value))
    return str(value)


def http_url(name: str, value: Any, *, optional: bool = True) -> str | None:
    """Check an absolute HTTP or HTTPS URL. The fragment is kept, because the platform reads time limits from it."""
    if value is None and optional:
        return None
    accepted = "an absolute http:// or https:// URL"
    # Credentials are allowed here, because the platform uses them for basic authentication.
    if not isinstance(value, str) or not value.isprintable() or " " in value:
        raise InvalidParameter(name, value, accepted, secret=may_hold_secrets(value))
    try:
        parts = urllib.parse.urlsplit(value)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise InvalidParameter(name, value, accepted, secret=may_hold_secrets(value))
    return value


def status_callback(prefix: str, url: Any, event: Any, event_type: Any, method: Any) -> dict[str, Any]:
    """Check the four parameters of a conference status callback."""
    return {
        prefix: http_url(prefix, url),
        f"{prefix}_event": text(f"{prefix}_event", event),
        f"{prefix}_event_type": choice(f"{prefix}_event_type", event_type, ("relay", "cxml", "laml")),
        f"{prefix}_method": choice(f"{prefix}_method", method, ("GET", "POST")),
    }


def bearer_token(value: Any, name: str = "authorization_bearer_token") -> str | None:
    """Check a bearer token and return it without the prefix ``Bearer``, which the platform adds."""
    if value is None:
        return None
    accepted = "a bearer token of printable ASCII characters without spaces"
    if not isinstance(value, str):
        raise InvalidParameter(name, value, accepted, secret=True)
    bare = value[7:].strip() if value[:7].lower() == "bearer " else value
    if not bare or not bare.isascii() or not bare.isprintable() or " " in bare:
        raise InvalidParameter(name, value, accepted, secret=True)
    return bare


def secret(name: str, value: Any) -> str | None:
    """Check a string whose value must not appear in errors."""
    if value is not None and (not isinstance(value, str) or not is_text(value) or not value):
        raise InvalidParameter(name, value, "a non-empty string or None", secret=True)
    return value


def number(
    name: str,
    value: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    optional: bool = True,
) -> float | None:
    """Check a finite number that is at least ``low``, greater than ``above``, and at most ``high``."""
    if value is None and optional:
        return None
    good = not isinstance(value, bool) and isinstance(value, (int, float)) and _finite(value)
    if not good or not _within(value, low, high, above):
        raise InvalidParameter(name, value, f"a number{_limits(low, high, above)}")
    return value  # type: ignore[no-any-return]


#: Replaces infinity, which clocks and locks do not accept. In seconds, about 30 years.
_LONGEST: Final = 1e9


@overload
def timeout(value: Any, *, name: str = ..., optional: Literal[False]) -> float: ...


@overload
def timeout(value: Any, *, name: str = ..., optional: Literal[True] = ...) -> float | None: ...


def timeout(value: Any, *, name: str = "timeout", optional: bool = True) -> float | None:
    """Check a timeout in seconds, and return a value that clocks and locks accept.

    A timeout of 0 or less, such as the remaining time of an expired deadline, means not to wait. ``None`` (if allowed)
    and infinity wait indefinitely.
    """
    if value is None and optional:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:  # NaN does not equal itself
        raise InvalidParameter(name, value, "a number of seconds" + (" or None" if optional else ""))
    return float(max(-_LONGEST, min(value, _LONGEST)))


def seconds(name: str, value: Any, *, optional: bool = False) -> float | None:
    """Check a time limit, which is a finite number of seconds greater than 0."""
    if value is None and optional:
        return None
    if not isinstance(value, bool) and isinstance(value, (int, float)) and _finite(value) and value > 0:
        return float(value)
    accepted = "a finite number of seconds above 0" + (" or None" if optional else "")
    raise InvalidParameter(name, value, accepted)


def whole(
    name: str, value: Any, *, low: int | None = None, high: int | None = None, optional: bool = True
) -> int | None:
    """Check an integer within limits. Integers that some JSON readers would round are rejected."""
    if value is None and optional:
        return None
    if isinstance(value, int) and abs(value) > _MOST_WHOLE:
        high = _MOST_WHOLE if high is None else high
    if isinstance(value, bool) or not isinstance(value, int) or not _within(value, low, high, None):
        raise InvalidParameter(name, value, f"a whole number{_limits(low, high, None)}")
    return value


#: Larger integers are rounded by JSON readers that use floats only (RFC 8259).
_MOST_WHOLE: Final = 2**53 - 1


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond the range of floats
        return False


def _within(value: float, low: float | None, high: float | None, above: float | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high) and (above is None or value > above)


def _limits(low: float | None, high: float | None, above: float | None) -> str:
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if above is not None:
        return f" above {above}" + (f", at most {high}" if high is not None else "")
    least = "" if low is None else f", {low} or greater"
    return least if high is None else f", at most {high}"


def decimal(name: str, value: Any) -> str | None:
    """Check an integer that the protocol requires as a string, such as ``5`` or ``"5"``."""
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_WHOLE:
        return str(value)
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return value
    raise InvalidParameter(name, value, "a whole number, 0 or greater, as an integer or a string of digits")


def flag(name: str, value: Any) -> bool | None:
    """Check a boolean."""
    if value is not None and not isinstance(value, bool):
        raise InvalidParameter(name, value, "True, False or None")
    return value


def path(name: str, value: Any, accepted: str = "the path of a file") -> str:
    """Check a file path that the operating system accepts, and return it as a string."""
    text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    try:
        good = isinstance(text, str) and bool(text) and b"\0" not in os.fsencode(text)
    except ValueError:  # the path contains a lone surrogate
        good = False
    if not good:
        raise InvalidParameter(name, value, accepted)
    return str(text)


def dtmf(name: str, value: Any, *, pauses: bool = False, optional: bool = True) -> str | None:
    """Check DTMF digits: ``0-9``, ``*``, ``#`` and ``A-D``. With ``pauses``, also accept ``w`` (0.5 s) and ``W`` (1 s)."""
    if value is None and optional:
        return None
    accepted = "one or more of 0-9, *, #, A-D" + (", w (0.5 s) and W (1 s)" if pauses else "")
    if not isinstance(value, str) or not re.fullmatch("[0-9*#A-DwW]+" if pauses else "[0-9*#A-D]+", value):
        raise InvalidParameter(name, value, accepted)
    return value


def unseen(name: str, value: Any, accepted: str) -> InvalidParameter:
    """Return an error that shows only the value's type, because the value may be long or secret."""
    return InvalidParameter(name, type(value), accepted)


def mapping(name: str, value: Any, *, optional: bool = True) -> dict[str, Any] | None:
    """Check a mapping with string keys, and return a copy of it as a dictionary."""
    if value is None and optional:
        return None
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                break
        else:
            return dict(value)
    raise unseen(name, value, "a mapping with string keys and JSON values")


def texts(name: str, value: Any, *, most: int | None = None, optional: bool = True) -> list[str] | None:
    """Check a list of non-empty strings. A single string is rejected because it would be split into characters."""
    if value is None and optional:
        return None
    accepted = "a list of " + (f"at most {most} " if most else "") + "non-empty strings"
    if isinstance(value, (str, bytes, Mapping)):
        raise InvalidParameter(name, value, accepted, secret=may_hold_secrets(value))
    try:
        found = list(value)
    except TypeError:
        raise InvalidParameter(name, value, accepted) from None
    secret = any(isinstance(one, str) and may_hold_secrets(one) for one in found)
    if not found or not all(isinstance(one, str) and one for one in found) or (most is not None and len(found) > most):
        raise InvalidParameter(name, value, accepted, secret=secret)
    if not all(map(is_text, found)):
        raise InvalidParameter(name, value, f"a list in which each item is {WHOLE_TEXT}", secret=secret)
    return found


def check_json(name: str, value: Any) -> None:
    """Check that JSON can represent a value.

    :raises InvalidParameter: JSON cannot represent the value.
    """
    try:
        written = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise unseen(name, value, f"a value that JSON can express ({error})") from None
    if has_half(written):
        raise unseen(name, value, WHOLE_TEXT)
    if has_huge(written):
        raise unseen(name, value, IN_RANGE)


def json_object(name: str, value: Any, *, optional: bool = True) -> dict[str, Any] | None:
    """Check a mapping with string keys and JSON values, and return a copy of it."""
    if value is None and optional:
        return None
    copy = mapping(name, value, optional=optional)
    check_json(name, copy)
    return copy


def json_value(name: str, value: Any) -> Any:
    """Check a JSON value."""
    check_json(name, value)
    return value


def json_list(name: str, value: Any) -> list[Any] | None:
    """Check a list of JSON values, and return a copy of it."""
    if value is None:
        return None
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise unseen(name, value, "a list of JSON values")
    copy = list(value)
    check_json(name, copy)
    return copy


def merge_extra(params: dict[str, Any], extra: Any, known: tuple[str, ...]) -> dict[str, Any]:
    """Remove omitted parameters and add the caller's extra parameters."""
    merged = {name: value for name, value in params.items() if value is not None}
    if extra is None:
        return merged
    addition = json_object("extra", extra) or {}
    for name in addition:
        if name in params or name in known:
            raise InvalidParameter("extra", name, f"a mapping without {name!r}: pass that as its own parameter")
    return {**merged, **addition}


def decorator(method: F) -> F:
    """Give the argument of a registration method the default value ``None``.

    If the decorator is used with parentheses, :func:`handler` rejects this value and explains the mistake. Type checkers still
    require the argument.
    """
    changed: Any = method
    changed.__defaults__ = (None,)
    return method


def handler(name: str, value: Any, takes: tuple[str, ...] = ("event",)) -> Callable[..., Any]:
    """Check that a handler is a regular function that accepts the given arguments.

    A coroutine function or a generator function is rejected, because calling it would not run its body.
    """
    if not callable(value):
        decorated = value is None and name == "handler"
        raise InvalidParameter(
            name, value, "a function (use the decorator without parentheses)" if decorated else "a function"
        )
    called = inspect.unwrap(getattr(value, "func", value))
    if inspect.iscoroutinefunction(called) or inspect.iscoroutinefunction(type(called).__call__):
        raise InvalidParameter(
            name, value, "a regular function: remove async, and call blocking functions instead of awaiting"
        )
    # Do not check the wrapped function, because a decorator may run a generator to its end.
    if inspect.isasyncgenfunction(called) or inspect.isgeneratorfunction(getattr(value, "func", value)):
        raise InvalidParameter(
            name, value, "a regular function: a function that contains yield is a generator and would never run"
        )
    try:
        if not _surely_takes(value, len(takes)):
            inspect.signature(value).bind(*takes)
    except TypeError:
        raise InvalidParameter(name, value, f"a function that accepts {' and '.join(takes)}") from None
    except ValueError:  # some built-in functions have no signature
        pass
    return value  # type: ignore[no-any-return]


def _surely_takes(value: Callable[..., Any], count: int) -> bool:
    """Return whether a value is a plain function or method that accepts ``count`` positional arguments.

    Only if not, ``inspect.signature`` is needed. It uses 4 KiB of the stack, which the thread of a call's handler keeps until the
    call ends.
    """
    function, given = (value.__func__, count + 1) if isinstance(value, MethodType) else (value, count)
    if not isinstance(function, FunctionType) or function.__dict__:  # a decorator may have set a signature
        return False
    code = function.__code__
    required = code.co_argcount - len(function.__defaults__ or ())
    only_by_name = code.co_kwonlyargcount - len(function.__kwdefaults__ or ())
    return required <= given <= code.co_argcount and not only_by_name
