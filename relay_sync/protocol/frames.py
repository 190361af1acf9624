"""JSON-RPC 2.0 frames as used by RELAY. Each WebSocket text message contains one frame."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring_ascii
from typing import Any, Final, Protocol

from ..errors import InvalidParameter
from ..params.values import check_json, unseen
from ..text.json_text import HUGE, IN_RANGE, has_huge, read_leniently, writer
from ..text.secrecy import HIDDEN, SECRET_NAMES, hide
from ..text.surrogates import WHOLE_TEXT, has_half, mend_json

__all__ = [
    "Failure",
    "Malformed",
    "Masked",
    "Reply",
    "RequestFrame",
    "acknowledge",
    "build_error",
    "build_request",
    "build_result",
    "mask",
    "parse",
    "whole_code",
]

FrameId = str | int | float
_IDS: Final = (str, int, float, type(None))


class Hide(Protocol):
    """A function that masks secrets in a string; see :func:`relay_sync.text.secrecy.hide`."""

    def __call__(self, text: str, *, theirs: bool = ...) -> str: ...


_USERINFO: Final = re.compile(r"(?<=://)[^/?#\s]+@")
_WHOLE: Final = r"\s*[+-]?[0-9]{1,9}(?:\.0{0,9})?\s*"


class Malformed(ValueError):
    """A message that is not a valid frame.

    :ivar kind: fixed description of the problem that contains no data from the message.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class _Frame:
    """Base class for all frames. It does not use attrs, which would add as much import time as nine modules."""

    __slots__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.__slots__)})"


class RequestFrame(_Frame):
    """A request from the peer.

    :ivar id: ID to repeat in the reply, or ``None`` if no reply is expected.
    :ivar method: method name.
    :ivar params: parameters, which may be of any type.
    """

    __slots__ = ("id", "method", "params")

    def __init__(self, id: FrameId | None, method: str, params: Any) -> None:
        self.id: FrameId | None = id
        self.method: str = method
        self.params: Any = params


class Reply(_Frame):
    """A successful reply to a request from the client."""

    __slots__ = ("id", "result")

    def __init__(self, id: FrameId, result: Any) -> None:
        self.id: FrameId = id
        self.result: Any = result


class Failure(_Frame):
    """An error reply to a request from the client.

    :ivar id: the request's ID, or ``None`` if the peer could not read it.
    :ivar code: error code, or ``None`` if it is missing or not a number.
    :ivar message: error message.
    :ivar data: additional data of any type.
    """

    __slots__ = ("code", "data", "id", "message")

    def __init__(self, id: FrameId | None, code: int | None, message: str, data: Any = None) -> None:
        self.id: FrameId | None = id
        self.code: int | None = code
        self.message: str = message
        self.data: Any = data


def parse(text: str) -> RequestFrame | Reply | Failure:
    """Parse one frame.

    Lone surrogates are replaced by U+FFFD, except in the ID, which the reply must repeat unchanged.

    :raises Malformed: the text is not a valid JSON-RPC frame. No other exception is raised.
    """
    whole = mend_json(text) if "\\" in text else text
    try:
        frame = read_leniently(whole)
        given = frame if whole is text else read_leniently(text)
    except RecursionError:
        raise Malformed("nested too deeply") from None
    except ValueError:
        raise Malformed("not JSON") from None
    if type(frame) is not dict:
        raise Malformed("not an object")
    frame_id = given.get("id")
    # Check the exact type, because bool is a subclass of int but is not a valid id.
    if type(frame_id) not in _IDS:
        raise Malformed("the ID has the wrong type")
    method = frame.get("method")
    if method is not None:
        if not isinstance(method, str):
            raise Malformed("the method has the wrong type")
        return RequestFrame(frame_id, method, frame.get("params"))
    if frame.get("error") is not None:
        return _failure(frame_id, frame["error"])
    if "result" in frame and frame_id is not None:
        return Reply(frame_id, frame["result"])
    raise Malformed("neither a request nor a reply")


def _failure(frame_id: FrameId | None, error: Any) -> Failure:
    if not isinstance(error, dict):
        # str() of a deeply nested list may exhaust the stack.
        return Failure(frame_id, None, "a list" if isinstance(error, list) else str(error))
    message = error.get("message")
    if not isinstance(message, str):
        message = ""
    # Do not truncate the message here. Secrets are masked later, and a truncated secret would not be recognized.
    return Failure(frame_id, whole_code(error.get("code")), message, error.get("data"))


def whole_code(code: object) -> int | None:
    """Return a code such as ``200``, ``"200"`` or ``"200.0"`` as an integer. Return ``None`` if it is not an integer."""
    if isinstance(code, int) and not isinstance(code, bool):
        return code
    if isinstance(code, float) and code.is_integer() and abs(code) < 1e9:
        return int(code)
    if isinstance(code, str) and re.fullmatch(_WHOLE, code):
        return int(code.partition(".")[0])
    return None


_dump: Final = writer()


def build_request(frame_id: str, method: str, params: Mapping[str, Any]) -> str:
    """Build a request.

    :raises InvalidParameter: ``params`` contains a value that JSON cannot represent.
    """
    try:
        body = _dump(params)
    except (TypeError, ValueError, RecursionError):
        check_json("params", params)
        raise
    if "\\" in body or len(body) >= HUGE:  # nearly every command skips both checks
        for wrong, accepted in _REFUSED:
            if wrong(body):
                raise _naming(params, wrong, accepted)
    return (
        f'{{"jsonrpc":"2.0","id":{encode_basestring_ascii(frame_id)}'
        f',"method":{encode_basestring_ascii(method)},"params":{body}}}'
    )


#: Checks for values that Python serializes but other parsers reject, each with the accepted values for the error
#: message.
_REFUSED: Final = ((has_half, WHOLE_TEXT), (has_huge, IN_RANGE))


def _naming(params: Mapping[str, Any], wrong: Callable[[str], bool], accepted: str) -> InvalidParameter:
    """Return the error for the first invalid parameter. It shows only the type of the value, which may be secret."""
    name = next((name for name, value in params.items() if wrong(_dump({name: value}))), "params")
    return unseen(name, params.get(name), accepted)


def acknowledge(frame_id: FrameId) -> str:
    """Build the empty reply that acknowledges an event. No intermediate dictionaries are created, because this runs often."""
    written = encode_basestring_ascii(frame_id) if type(frame_id) is str else _dump(frame_id)
    return f'{{"jsonrpc":"2.0","id":{written},"result":{{}}}}'


def build_result(frame_id: FrameId, result: Mapping[str, Any]) -> str:
    """Build the reply to a request from the peer."""
    return _dump({"jsonrpc": "2.0", "id": frame_id, "result": result})


def build_error(frame_id: FrameId, code: int, message: str) -> str:
    """Build an error reply to a request from the peer."""
    return _dump({"jsonrpc": "2.0", "id": frame_id, "error": {"code": code, "message": message}})


def echo(params: object) -> dict[str, Any]:
    """Return the result for a ping, which repeats the ping's timestamp and payload. Objects and lists are left out."""
    if not isinstance(params, dict):
        return {}
    return {
        name: params[name]
        for name in ("timestamp", "payload")
        if name in params and not isinstance(params[name], (dict, list))
    }


def mask(value: Any, hidden: Hide = hide) -> Any:
    """Return a copy of a parsed frame with its secrets masked.

    Fields with secret names are masked, and so are all secrets known to the process.

    :param value: frame, or part of it.
    :param hidden: function that masks the known secrets in a string.
    """
    if isinstance(value, dict):
        return {
            hidden(key) if isinstance(key, str) else key: (
                HIDDEN if isinstance(key, str) and key.lower() in SECRET_NAMES and inner else mask(inner, hidden)
            )
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [mask(inner, hidden) for inner in value]
    if isinstance(value, str):
        return hidden(_USERINFO.sub(f"{HIDDEN}@", value) if "@" in value else value, theirs=True)
    return value


class Masked:
    """A frame for the log. It is parsed and masked only when a log record is formatted."""

    __slots__ = ("_masked", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._masked: str | None = None  # cached because every filter and handler formats the record

    def __str__(self) -> str:
        if self._masked is None:
            self._masked = self._mask()
        return self._masked

    def _mask(self) -> str:
        try:
            return json.dumps(mask(json.loads(self._text)))
        except (ValueError, RecursionError):
            return f"<{len(self._text)} characters that are not JSON>"
