"""Collect the data for a call record while the call is live.

All data comes from commands and events. The recorder does not access actions.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

from attrs import define, field

from ..constants import (
    CALL_STATE_ANSWERED,
    EVENT_CALL_RECORD,
    EVENT_CALL_STATE,
    EVENT_CALL_STREAM,
    EVENT_CALLING_ERROR,
)
from ..errors import InvalidParameter
from ..text.secrecy import HIDDEN, SECRET_NAMES, hide
from .records import CallRecord, RecordingRecord, StreamRecord

__all__ = ["CallRecorder", "Keep", "ObservedCall", "ObservedEvent", "check_keep"]

K = TypeVar("K")

#: Maximum number of streams, recordings and errors in a record. The limit matters for calls that last for hours.
MOST: Final = 100
_URLS: Final = "urls"
_PARAMETERS: Final = "custom_parameters"
_STREAM: Final = "calling.stream"
_RECORD: Final = "calling.record"

#: Validated value of ``keep``.
Keep = frozenset[str]


class ObservedCall(Protocol):
    """The part of a call's interface that the recorder uses."""

    @property
    def call_id(self) -> str: ...
    @property
    def context(self) -> str: ...
    @property
    def tag(self) -> str: ...
    @property
    def direction(self) -> str: ...
    @property
    def from_number(self) -> str: ...
    @property
    def to_number(self) -> str: ...


class ObservedEvent(Protocol):
    """The part of an event's interface that the recorder uses."""

    @property
    def event_type(self) -> str: ...
    @property
    def params(self) -> Mapping[str, Any]: ...


def check_keep(keep: Iterable[Any]) -> Keep:
    """Validate the names of optional data in call records.

    :param keep: one or more of ``custom_parameters``, ``custom_parameters.NAME`` and ``urls``.
    :raises InvalidParameter: a name is unknown.
    """
    names = (keep,) if isinstance(keep, str) else tuple(keep)
    for name in names:
        if name not in (_URLS, _PARAMETERS) and not (isinstance(name, str) and name.startswith(f"{_PARAMETERS}.")):
            raise InvalidParameter("keep", name, "'custom_parameters', 'custom_parameters.NAME' or 'urls'")
    return frozenset(names)


@define(eq=False)
class _Stream:
    name: str = ""
    state: str = ""
    track: str = ""
    codec: str = ""
    url: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    custom_parameters: Mapping[str, Any] = field(factory=dict)


@define(eq=False)
class _Recording:
    state: str = ""
    url: str = ""
    duration: float = 0.0
    size: int = 0


class CallRecorder:
    """Collector of one call's data.

    Any thread may report commands. Events and the end of the call must be reported by one thread at a time.

    :param offered_at: time at which the client received the call, or ``None`` if unknown.
    """

    def __init__(self, offered_at: datetime | None = None) -> None:
        self._offered_at = offered_at
        self._answered_at: datetime | None = None
        self._streams: dict[str, _Stream] = {}
        self._recordings: dict[str, _Recording] = {}
        # Protects the command counter. The IO thread must not acquire it, because its holder may wait for the IO thread.
        self._counting = threading.RLock()
        self._commands = 0
        self._errors: list[str] = []

    def command(self, method: str, params: Mapping[str, Any]) -> None:
        """Count a command that is about to be sent. If it starts a stream or recording, add that to the record."""
        with self._counting:
            self._commands += 1
        if method == _STREAM:
            stream = _entry(self._streams, params, _Stream)
            if stream is not None:
                stream.name, stream.url = _text(params.get("name")), _text(params.get("url"))
                stream.track = _text(params.get("track")).removesuffix("_tracks").removesuffix("_track")
                stream.codec = _text(params.get("codec"))
                custom = params.get(_PARAMETERS)
                if isinstance(custom, Mapping):  # Copied, because the program may modify the original.
                    stream.custom_parameters = _without_secrets("", custom)
        elif method == _RECORD:
            _entry(self._recordings, params, _Recording)

    def failed(self, what: str, error: BaseException) -> None:
        """Add an exception to the record, without its message."""
        code = getattr(error, "code", None)
        self._error(f"{what}: {type(error).__name__}" + (f" {code}" if type(code) is int else ""))

    def _error(self, text: str) -> None:
        if len(self._errors) < MOST:
            self._errors.append(text)

    def event(self, event: ObservedEvent) -> None:
        """Update the record from an event."""
        take = _TAKES.get(event.event_type)
        if take is not None:
            take(self, event)

    def _state_event(self, event: ObservedEvent) -> None:
        if event.params.get("call_state") == CALL_STATE_ANSWERED and self._answered_at is None:
            self._answered_at = now()

    def _stream_event(self, event: ObservedEvent) -> None:
        stream = _entry(self._streams, event.params, _Stream)
        if stream is None:
            return
        stream.state = _text(event.params.get("state")) or stream.state
        stream.url = stream.url or _text(event.params.get("url"))
        stream.name = stream.name or _text(event.params.get("name"))
        if stream.state == "streaming":
            stream.started_at = stream.started_at or now()
        elif stream.state == "finished":
            stream.ended_at = stream.ended_at or now()

    def _record_event(self, event: ObservedEvent) -> None:
        recording = _entry(self._recordings, event.params, _Recording)
        if recording is None:
            return
        recording.state = _text(event.params.get("state")) or recording.state
        # The platform sends these members in different places. The event's attributes cover all of them.
        recording.url = _text(getattr(event, "url", "")) or recording.url
        recording.duration = getattr(event, "duration", 0.0) or recording.duration
        recording.size = getattr(event, "size", 0) or recording.size

    def _error_event(self, event: ObservedEvent) -> None:
        self._error(EVENT_CALLING_ERROR)

    def record(self, call: ObservedCall, end_reason: str, keep: Keep) -> CallRecord:
        """Return the record of a call that has ended."""
        return CallRecord(
            call_id=call.call_id,
            direction=call.direction,
            from_=call.from_number,
            to=call.to_number,
            context=call.context,
            tag=call.tag,
            offered_at=self._offered_at,
            answered_at=self._answered_at,
            ended_at=now(),
            end_reason=end_reason,
            streams=tuple(_kept_stream(*each, keep) for each in list(self._streams.items())),
            recordings=tuple(
                RecordingRecord(
                    control_id=control_id,
                    state=each.state,
                    url=_shown(each.url, keep),
                    duration=each.duration,
                    size=each.size,
                )
                for control_id, each in list(self._recordings.items())
            ),
            commands=self._commands,
            errors=tuple(self._errors),
        )


_TAKES: Final[dict[str, Callable[[CallRecorder, ObservedEvent], None]]] = {
    EVENT_CALL_STATE: CallRecorder._state_event,
    EVENT_CALL_STREAM: CallRecorder._stream_event,
    EVENT_CALL_RECORD: CallRecorder._record_event,
    EVENT_CALLING_ERROR: CallRecorder._error_event,
}


def now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _entry(table: dict[str, K], params: Mapping[str, Any], make: Callable[[], K]) -> K | None:
    """Return the entry for a command's or event's ``control_id``, or ``None`` if there is no ID or the table is full."""
    control_id = _text(params.get("control_id"))
    if not control_id or (control_id not in table and len(table) >= MOST):
        return None
    found = table.get(control_id)
    if found is None:
        found = table.setdefault(control_id, make())
    return found


def _kept_stream(control_id: str, stream: _Stream, keep: Keep) -> StreamRecord:
    custom = {
        name: value
        for name, value in stream.custom_parameters.items()
        if _PARAMETERS in keep or f"{_PARAMETERS}.{name}" in keep
    }
    return StreamRecord(
        control_id=control_id,
        name=stream.name,
        state=stream.state,
        track=stream.track,
        codec=stream.codec,
        url=_shown(stream.url, keep),
        started_at=stream.started_at,
        ended_at=stream.ended_at,
        custom_parameters=custom,
    )


def _shown(url: str, keep: Keep) -> str:
    """Return a URL without credentials. The query and the fragment are removed unless ``keep`` contains ``urls``."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    query, fragment = (_readable(parts.query), _readable(parts.fragment)) if _URLS in keep else ("", "")
    host = parts.netloc.rpartition("@")[2]
    return hide(urlunsplit((parts.scheme, host, parts.path, query, fragment)))


def _readable(query: str) -> str:
    """Return a query string with secret values hidden."""
    members = [each.partition("=") for each in query.split("&")]
    return "&".join(
        f"{name}={HIDDEN}" if equals and unquote(name).lower() in SECRET_NAMES else f"{name}{equals}{value}"
        for name, equals, value in members
    )


def _without_secrets(name: str, value: Any) -> Any:
    """Return a copy of a value with secrets hidden.

    Secrets are recognized by member name, and by comparison with the secrets registered in this process.
    """
    if name.lower() in SECRET_NAMES:
        return HIDDEN
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, Mapping):
        return {str(each): _without_secrets(str(each), inner) for each, inner in list(value.items())}
    if isinstance(value, (list, tuple)):
        return [_without_secrets("", inner) for inner in list(value)]
    return value
