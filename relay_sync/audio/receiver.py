"""What happens to the messages of one socket, on the loop thread: parse, place, decode, hand over."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

from attrs import define, frozen

from ..server import CloseInfo, Connection, Loop, Timer
from .codecs import BadPacket
from .decoding import Decoding
from .frames import FrameBuffer
from .messages import BadMessage, Dtmf, Mark, Media, Start, Stop, parse_message
from .recorder import Disk, Recorder
from .stream import AudioStream, Counts, EndReason
from .timeline import MAX_TRACKS, Timeline
from .troubles import Troubles

__all__ = ["Receiver", "ReceiverSettings"]

_CONTAINERS = {b"RIFF": "a WAV file", b"OggS": "an Ogg file", b"ID3\x03": "an MP3 file", b"ID3\x04": "an MP3 file"}


@frozen(kw_only=True)
class ReceiverSettings:
    """What all sockets of a server have in common."""

    start_timeout: float
    idle_timeout: float | None
    buffer_seconds: float
    l16_byteorder: Literal["little", "big", "auto"]
    make_recorder: Callable[[Start, int, int, Callable[[], object]], Recorder | None]
    disk: Disk
    troubles: Troubles


@define(eq=False)
class _Sound:
    """What is needed to turn payloads into frames, once ``start`` has said how."""

    decoding: Decoding
    timeline: Timeline
    channels: dict[str, int]
    default_track: str


class Receiver:
    """The receiving end of one socket.

    :param on_stream: called once with the stream, when ``start`` has come.
    :param on_end: called once, when the socket is done with; the argument is ``None`` if there never was a stream.
    """

    def __init__(
        self,
        loop: Loop,
        connection: Connection,
        settings: ReceiverSettings,
        *,
        on_stream: Callable[[AudioStream], object],
        on_end: Callable[[AudioStream | None], object],
    ) -> None:
        self._loop = loop
        self._connection = connection
        self._settings = settings
        self._tell = _teller(settings.troubles, connection.remote)
        self._on_stream = on_stream
        self._on_end = on_end
        self._stream: AudioStream | None = None
        self._buffer: FrameBuffer | None = None
        self._sound: _Sound | None = None
        self._recorder: Recorder | None = None
        self._counts = Counts()
        self._reason: EndReason | None = None  # decided before the socket has ended
        self._finished = False
        self._last_heard = time.monotonic()
        connection.on_message = self._on_message
        connection.on_close = self._on_close
        self._timer: Timer = loop.call_later(settings.start_timeout, self._no_start)

    # -- messages ------------------------------------------------------------------------------------------------------

    def _on_message(self, text: str | bytes) -> None:
        if self._reason is not None:
            return  # anything after the end is ignored
        self._last_heard = time.monotonic()
        try:
            message = parse_message(text)
        except BadMessage as error:
            self._counts.bad_frames += 1
            self._tell(error.kind, "a message that cannot be used (%s); the stream goes on without it", error.kind)
            return
        if type(message) is Media:
            self._media(message)
        elif isinstance(message, Start):
            self._start(message)
        elif isinstance(message, Stop):
            self._stop()
        elif self._stream is not None:
            if isinstance(message, Dtmf):
                self._stream._key(message)
            elif isinstance(message, Mark):
                self._stream._mark(message.name)

    def _start(self, start: Start) -> None:
        if self._stream is not None:
            self._counts.bad_frames += 1
            self._tell("second start", "a second start is ignored: one socket carries one stream")
            return
        self._timer.cancel()
        self._sound = sound = self._understand(start)
        decoding = sound.decoding
        room = round(self._settings.buffer_seconds * decoding.sample_rate) * 2
        self._buffer = FrameBuffer(room, sample_rate=decoding.sample_rate, encoding=decoding.encoding)
        if decoding.decodable:
            self._recorder = self._record(start, sound)
        self._stream = stream = AudioStream(
            start,
            sample_rate=decoding.sample_rate,
            decodable=decoding.decodable,
            buffer=self._buffer,
            recorder=self._recorder,
            counts=self._counts,
            hang_up=self._hang_up,
        )
        if self._settings.idle_timeout is not None:
            self._timer = self._loop.call_later(self._settings.idle_timeout, self._check_idle)
        self._on_stream(stream)

    def _understand(self, start: Start) -> _Sound:
        decoding = Decoding(start.media_format, self._settings.l16_byteorder, self._tell)
        tracks = start.tracks or ("inbound", "outbound")
        return _Sound(
            decoding=decoding,
            timeline=Timeline(decoding.sample_rate),
            channels={track: index for index, track in enumerate(tracks)},
            default_track=tracks[0],
        )

    def _record(self, start: Start, sound: _Sound) -> Recorder | None:
        try:
            recorder = self._settings.make_recorder(
                start, sound.decoding.sample_rate, len(sound.channels), self._connection.resume_reading
            )
            if recorder is not None:
                self._settings.disk.add(recorder)
            return recorder
        except (OSError, RuntimeError) as error:
            self._tell("recording", "the audio is not recorded: %s", error)
            return None

    def _media(self, media: Media) -> None:
        sound, counts = self._sound, self._counts
        if sound is None or self._buffer is None:
            self._tell("early media", "audio before start is ignored: nothing says how it is encoded")
            return
        track = media.track or sound.default_track
        if track not in sound.channels and not sound.timeline.has_room_for(track):
            counts.bad_frames += 1
            self._tell("tracks", "more than %d tracks in one stream; the others are ignored", MAX_TRACKS)
            return
        if not counts.frames:
            self._look_at_first(media.payload)
        try:
            pcm = sound.decoding.decode(track, media.payload)
        except BadPacket as error:
            counts.bad_frames += 1
            self._tell("bad packet", "audio that cannot be decoded (%s); the stream goes on without it", error)
            return
        if not pcm:
            counts.bad_frames += 1
            self._tell("empty media", "a media message without audio")
            return
        samples = len(pcm) // 2 if sound.decoding.decodable else 0
        placed = sound.timeline.place(track, media.timestamp, media.chunk, samples)
        if placed is None:
            counts.duplicates += 1
            return
        position, rate = placed.position, sound.decoding.sample_rate
        counts.frames += 1
        counts.bytes += len(media.payload)
        if placed.hole:
            counts.gaps += 1
            counts.missing += placed.hole / rate
        elif placed.late:
            counts.late += 1
        end = (position + samples) / rate
        if end > counts.seconds:
            counts.seconds = end
        timestamp = position / rate if media.timestamp is None else media.timestamp / 1000
        # Saved first: whoever has read a frame can rely on finding it in the file.
        if self._recorder is not None:
            self._keep(self._recorder, track, position, pcm)
        self._buffer.put(track, pcm, timestamp, media.sequence)

    def _keep(self, recorder: Recorder, track: str, position: int, pcm: bytes) -> None:
        channel = self._sound.channels.get(track) if self._sound is not None else None
        if channel is None:
            self._tell("track", "track %r was not announced in start: it can be read, but is not saved", track)
            return
        if recorder.add(channel, position, pcm):
            self._connection.pause_reading()  # the disk cannot keep up; resumed after its next write
            self._settings.disk.hurry()
        elif recorder.eager:
            self._settings.disk.hurry()

    def _look_at_first(self, payload: bytes) -> None:
        container = _CONTAINERS.get(payload[:4])
        if container is not None:
            self._tell("container", "the audio begins like %s: the header is noise, media is raw audio only", container)

    # -- the end -------------------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        self._finish("stopped")
        self._connection.close(1000, "stopped")

    def _no_start(self) -> None:
        self._tell(
            "no start",
            "no start within %g s, so the socket is closed: is the peer a media stream at all?",
            self._settings.start_timeout,
        )
        self._finish("never started")
        self._connection.close(1008, "no start")

    def _check_idle(self) -> None:
        limit = self._settings.idle_timeout or 0.0
        due = self._last_heard + limit
        if time.monotonic() < due:
            self._timer = self._loop.call_at(due, self._check_idle)
            return
        self._tell("idle", "silent for %g s: the stream is taken to be over", limit)
        self._finish("timed out")
        self._connection.close(1001, "idle")

    def _hang_up(self, abort: bool) -> None:
        """For the stream's owner, on any thread."""
        if abort:
            self._connection.abort()
        else:
            self._connection.close(1000, "closed here")

    def _on_close(self, info: CloseInfo) -> None:
        if self._stream is not None and not self._finished and info.code in (1002, 1007, 1009) and not info.clean:
            self._tell("protocol", "it broke the rules of WebSocket and was closed: %s", info.reason)
        # A peer that closes with a close frame ends the stream properly, even if it does not wait for ours.
        self._finish("dropped" if info.code is None else "closed")

    def _finish(self, reason: EndReason) -> None:
        self._reason = self._reason or reason
        if self._finished:
            return
        self._finished = True
        self._timer.cancel()
        if self._recorder is not None:
            self._settings.disk.finish(self._recorder)
        stream = self._stream
        if stream is not None:
            stream._end(reason)
        self._on_end(stream)
        self._on_stream = self._on_end = _forget  # no circle from here back to the server's handlers


def _teller(troubles: Troubles, remote: object) -> Callable[..., None]:
    def tell(kind: str, message: str, *args: object) -> None:
        troubles.tell(kind, "media socket from %s: " + message, remote, *args)

    return tell


def _forget(_stream: AudioStream | None) -> None:
    pass
