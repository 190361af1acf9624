"""Actions for playback, recording, streams, taps, transcription and faxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast
from urllib.parse import urlsplit

from attrs import evolve

from ...constants import (
    EVENT_CALL_FAX,
    EVENT_CALL_PLAY,
    EVENT_CALL_RECORD,
    EVENT_CALL_STREAM,
    EVENT_CALL_TAP,
    EVENT_CALL_TRANSCRIBE,
    FaxState,
    PlayState,
    RecordState,
    StreamState,
    TapState,
    TranscribeState,
)
from ...errors import RelayError, StreamFailed
from ...threads import logs
from .base import E, PausableAction, Question, StoppableAction, VolumeAction

if TYPE_CHECKING:
    from ... import events
    from ...events import FaxEvent

_log = logs.get("relay_sync")

__all__ = [
    "FaxAction",
    "PlayAction",
    "ReceiveFaxAction",
    "RecordAction",
    "SendFaxAction",
    "StreamAction",
    "TapAction",
    "TranscribeAction",
]


class PlayAction(PausableAction["events.PlayEvent"], VolumeAction["events.PlayEvent"]):
    """A playback (``calling.play``). Its final state is ``finished`` or ``error``."""

    state: PlayState | str
    method = "calling.play"
    event_type = EVENT_CALL_PLAY

    def _longest(self) -> float | None:
        items, loop = self._params.get("play") or [], self._params.get("loop", 1)
        times = [
            item.get("params", {}).get("duration") for item in items if item.get("type") in ("silence", "ringtone")
        ]
        if self._was_paused or not loop or len(times) < len(items) or not times or None in times:
            return None  # the duration of audio files and speech is unknown
        return float(sum(times) * loop)


class _Recording(StoppableAction[E]):
    """Base class of actions that create a recording. The values of earlier events are kept if later events omit them."""

    _url = ""
    _duration = 0.0
    _size = 0

    def _progress(self, event: Any) -> None:
        self._url = event.url or self._url
        self._duration = event.duration or self._duration
        self._size = event.size or self._size
        super()._progress(event)


class RecordAction(_Recording["events.RecordEvent"], PausableAction["events.RecordEvent"]):
    """A recording (``calling.record``). Its final state is ``finished`` or ``no_input``."""

    state: RecordState | str
    method = "calling.record"
    event_type = EVENT_CALL_RECORD
    end_states: ClassVar[frozenset[str]] = frozenset({"finished", "no_input"})
    behaviors: ClassVar[tuple[str, ...]] = ("skip", "silence")

    def _longest(self) -> float | None:
        if self._was_paused:
            return None
        return (self._params.get("record") or {}).get("audio", {}).get("max_length") or None

    def _question(self) -> Question | None:
        if self._is_paused is None:
            return super()._question()
        return (
            Question("calling.record.pause", self._paused_with)
            if self._is_paused
            else Question("calling.record.resume", {})
        )

    @property
    def url(self) -> str:
        """URL of the recording; ``""`` until the server reports it."""
        url = self.reply.get("url")
        return self._url or (url if isinstance(url, str) else "")

    @property
    def duration(self) -> float:
        """Duration of the recording, in seconds; 0 until the recording has ended."""
        return self._duration

    @property
    def size(self) -> int:
        """Size of the recording, in bytes; 0 until the recording has ended."""
        return self._size


class StreamAction(StoppableAction["events.StreamEvent"]):
    """An audio stream to a WebSocket (``calling.stream``).

    The final state is ``finished``, even if the platform could not connect to the WebSocket. In that case there is no
    ``streaming`` event, the SDK logs a warning, and the result's ``reason`` is ``never_streamed``.
    """

    state: StreamState | str
    method = "calling.stream"
    event_type = EVENT_CALL_STREAM
    # The platform documents only "streaming" and "finished". As a precaution, these states are treated as errors.
    error_states: ClassVar[frozenset[str]] = frozenset({"error", "failed", "stopped", "disconnected"})
    _streamed = False

    def _progress(self, event: events.StreamEvent) -> None:
        # The platform does not report a failed connection. The stream finishes without a "streaming" event.
        if event.state == "streaming":
            self._streamed = True
        elif event.state in self.end_states and not self._streamed and not self._stop_sent:
            event = cast("events.StreamEvent", evolve(cast(Any, event), reason="never_streamed"))
            if self.call.state == "answered":
                self._warn()
        super()._progress(event)

    def _warn(self) -> None:
        from ...receivers import asleep_at  # imported on first use

        url = self._params.get("url")
        asleep = asleep_at(url) if isinstance(url, str) else ""
        if asleep:
            text = "stream %s of call %s finished without ever streaming: an AudioServer in this program has that address, but %s"
            _log.warning(text, self.control_id, self.call.call_id, asleep)
            return
        _log.warning(
            "stream %s of call %s finished without ever streaming, and the call continues: check that the platform can open a"
            " WebSocket to %s (address, firewall, proxy, certificate, token) and that the call supports the codec",
            self.control_id,
            self.call.call_id,
            (urlsplit(url).netloc.rpartition("@")[2] if isinstance(url, str) else "") or "its URL",
        )

    def _failure(self, state: str) -> RelayError:
        return StreamFailed(
            f"the server reported the stream as {state!r}: start another stream if the call is still active"
        )


class TapAction(StoppableAction["events.TapEvent"]):
    """A tap, which copies the call's audio to an RTP address or a WebSocket (``calling.tap``)."""

    state: TapState | str
    method = "calling.tap"
    event_type = EVENT_CALL_TAP

    @property
    def source_device(self) -> dict[str, Any]:
        """Source of the tapped audio, from the server's reply; empty if the reply does not contain it."""
        device = self.reply.get("source_device")
        return device if isinstance(device, dict) else {}


class TranscribeAction(_Recording["events.TranscribeEvent"]):
    """A transcription in the background (``calling.transcribe``)."""

    state: TranscribeState | str
    method = "calling.transcribe"
    event_type = EVENT_CALL_TRANSCRIBE

    _recording_id = ""

    def _progress(self, event: events.TranscribeEvent) -> None:
        self._recording_id = event.recording_id or self._recording_id
        super()._progress(event)

    @property
    def url(self) -> str:
        """URL of the transcribed recording; ``""`` until the transcription has ended."""
        return self._url

    @property
    def recording_id(self) -> str:
        """ID of the recording in the platform's records."""
        return self._recording_id

    @property
    def duration(self) -> float:
        """Duration of the recording, in seconds; 0 until the transcription has ended."""
        return self._duration

    @property
    def size(self) -> int:
        """Size of the recording, in bytes; 0 until the transcription has ended."""
        return self._size


class FaxAction(StoppableAction["FaxEvent"]):
    """Base class of fax actions.

    The final state is ``finished``, whether or not the fax was transmitted. Use :attr:`success` to check the result.
    """

    state: FaxState | str
    event_type = EVENT_CALL_FAX
    _page = 0

    def _progress(self, event: FaxEvent) -> None:
        kind = event.type
        if kind == "page":
            number = event.details.get("number")
            self._page = number if isinstance(number, int) and not isinstance(number, bool) else self._page + 1
        if kind:
            self.state = kind
        if kind in self.error_states:
            self._end(event, self._failure(kind))
        elif kind in self.end_states:
            self._end(event, None)

    def _detail(self, name: str, kind: type[Any]) -> Any:
        value = self.result.details.get(name) if self.result is not None else None
        return value if type(value) is kind else kind()

    @property
    def pages(self) -> int:
        """Number of pages that have been transmitted."""
        return self._detail("pages", int) or self._page

    @property
    def success(self) -> bool:
        """Whether the fax was transmitted successfully; ``False`` until the fax has ended."""
        return bool(self._detail("success", bool))

    @property
    def document(self) -> str:
        """URL of the document; ``""`` until the fax has ended."""
        return str(self._detail("document", str))

    @property
    def remote_identity(self) -> str:
        """Name of the remote fax machine; ``""`` until the fax has ended."""
        return str(self._detail("remote_identity", str))

    @property
    def result_text(self) -> str:
        """The platform's description of the result; ``""`` until the fax has ended."""
        return str(self._detail("result_text", str))


class SendFaxAction(FaxAction):
    """An outbound fax (``calling.send_fax``)."""

    method: ClassVar[str] = "calling.send_fax"


class ReceiveFaxAction(FaxAction):
    """An inbound fax (``calling.receive_fax``)."""

    method: ClassVar[str] = "calling.receive_fax"


for _name in __all__:
    globals()[_name].__module__ = "relay_sync"
