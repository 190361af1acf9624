"""Process one media stream's messages on the loop thread: parse, reorder, place, decode, record and deliver them."""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Literal

from attrs import define, frozen

from ..errors import InvalidParameter
from ..params import values
from ..server import CloseInfo, Connection, Loop, Timer
from ..server.websocket import NO_ROOM
from ..threads.rate_limited_log import RateLimitedLog
from ..threads.safety_net import Net
from .diagnosis import Diagnosis
from .disk import Disk
from .frames import FrameBuffer
from .messages import BadMessage, Dtmf, Mark, Media, Start, Stop, parse_message
from .pcm_codecs import BadPacket
from .reorder import Reorder
from .sources import encoding_for
from .speaker import Speaker
from .stats import Counts
from .stream import AudioStream
from .stream_core import EndReason, StreamCore
from .stream_decoder import StreamDecoder
from .stream_recording import SIDES, StreamRecording
from .timeline import MAX_TRACKS, Timeline, Track

if TYPE_CHECKING:
    from .dsp import Resamplers

__all__ = ["Receiver", "ReceiverSettings"]

_FLOW = 5.0  # seconds without audio after start before a warning is logged
# A media message in the form that SignalWire documents, with all numbers in quotes.
_DOCUMENTED = b'{"event":"media","sequenceNumber":"'
_HEAD = _DOCUMENTED + b'%d","media":{"track":"%b","chunk":"%d","timestamp":"%d","payload":"'
_TAIL = b'"}}'
SHORT_WAY = True  # whether usual frames take the short way through the receiver; see Receiver._on_text()
_LAG = 60.0  # seconds; a frame with a larger delay means that the carrier's clock was set back


@frozen(kw_only=True)
class ReceiverSettings:
    """Settings shared by all connections of a server.

    :ivar make_file: creates the file for a stream's audio; called on the disk thread. ``None`` disables recording.
    :raises InvalidParameter: a setting is invalid.
    """

    start_timeout: float
    idle_timeout: float | None
    send_timeout: float
    buffer_seconds: float
    reorder_seconds: float
    l16_byteorder: Literal["little", "big", "auto"]
    make_file: Callable[[Start], BinaryIO] | None
    disk: Disk
    troubles: RateLimitedLog

    def __attrs_post_init__(self) -> None:
        for name in ("start_timeout", "send_timeout", "buffer_seconds"):
            values.number(name, getattr(self, name), above=0, optional=False)
        values.number("idle_timeout", self.idle_timeout, above=0)
        values.number("reorder_seconds", self.reorder_seconds, low=0, optional=False)
        if self.l16_byteorder not in ("little", "big", "auto"):
            raise InvalidParameter("l16_byteorder", self.l16_byteorder, "'little', 'big' or 'auto'")


@define(eq=False)
class _Decoding:
    """A stream's decoding state, created when the ``start`` message arrives.

    :ivar default_track: track assumed for media messages that do not name a track.
    :ivar binary: number of channels in binary frames; 0 if audio arrives in JSON messages.
    """

    decoding: StreamDecoder
    timeline: Timeline
    buffer: FrameBuffer
    default_track: str
    binary: int
    began: float = 0.0  # local time of the first frame


class Receiver:
    """Receiver of one media stream.

    :param on_stream: called with the stream and its core once ``start`` has arrived.
    :param on_end: called once, when the stream has ended.
    :param two_way: whether the carrier plays audio sent on this connection, which its messages do not announce.
    :param realtime: whether the carrier was asked to play audio with minimal delay.
    :param sample_rate: sample rate of the delivered frames in Hz; ``None`` uses the codec's rate.
    """

    def __init__(
        self,
        loop: Loop,
        connection: Connection,
        settings: ReceiverSettings,
        *,
        on_stream: Callable[[AudioStream, StreamCore], object],
        on_end: Callable[[], object],
        two_way: bool = False,
        realtime: bool = False,
        sample_rate: int | None = None,
    ) -> None:
        self._two_way = two_way
        self._realtime = realtime
        self._sample_rate = sample_rate
        self._resamplers: Resamplers | None = None
        self._loop = loop
        self._connection = connection
        self._settings = settings
        self._tell = _teller(settings.troubles, connection.remote)
        self._on_stream = on_stream
        self._on_end = on_end
        self._started: Start | None = None
        #: The stream's state, or ``None`` before ``start``.
        self.core: StreamCore | None = None
        self._sound: _Decoding | None = None
        self._diagnosis: Diagnosis | None = None
        self._looking: Diagnosis | None = None  # the same while it needs more frames
        self._recording: StreamRecording | None = None
        # The short way; see _on_text().
        self._steady: tuple[Track, ...] = ()  # tracks whose next frames may take it; the one expected next comes first
        self._decode: Callable[[bytes], bytes] = bytes
        self._next_sequence = 0
        self._documented = False  # whether the last text had the documented form
        self._reorder = Reorder(settings.reorder_seconds) if settings.reorder_seconds > 0 else None
        #: Statistics. They do not change after the end of the stream.
        self.counts: Counts = Counts()
        self._reason: EndReason | None = None  # set when the stream ends, which may be before the connection closes
        self._finished = False
        self._audio_follows = connection.headers.get("sec-websocket-protocol", "").strip().startswith("audio.")
        self._last_heard = loop.time()
        connection.on_text = self._on_text
        connection.on_message = self._on_message
        connection.on_close = self._on_close
        self._timer: Timer = loop.call_later(settings.start_timeout, self._no_start)
        self._flow_timer: Timer | None = None
        self._order_timer: Timer | None = None

    # -- messages ------------------------------------------------------------------------------------------------------

    def _on_text(self, text: bytes) -> bool:
        """Process a usual frame the short way: a message that has the documented form and exactly the expected numbers.

        :return: whether the frame was processed. Otherwise, nothing has changed, and the connection passes the text to
            :meth:`_on_message`.
        """
        sequence, sound = self._next_sequence, self._sound
        if sound is None:
            return False
        for line in self._steady:
            at = line.next_timestamp
            encoded = text.removeprefix(_HEAD % (sequence, line.label, line.following, at))
            if encoded is not text:
                break
        else:
            self._documented = text.startswith(_DOCUMENTED)
            return False
        try:
            payload = a2b_base64(encoded[:-3], strict_mode=True)
        except ValueError:
            return False
        size = len(payload)
        if size != line.size or encoded[-3:] != _TAIL:
            return False
        pcm = self._decode(payload)
        self._next_sequence = sequence + 1
        if line is not self._steady[-1]:  # the other track's frame is expected next
            self._steady = (*self._steady[1:], line)
        if self._looking is not None:
            self._looking = self._looking.look(line.name, at, line.following, payload, pcm)
        self._last_heard = self._loop.turn_began
        position = line.follow(at, payload, sequence)
        self._keep(sound, line.name, position, pcm, size, at, sequence)
        return True

    def _expect(self, sound: _Decoding, sequence: int | None) -> None:
        """After a frame took the long way, determine which tracks' next frames may take the short way."""
        decode = sound.decoding.simple
        if SHORT_WAY and self._documented and sequence is not None and decode is not None and self._reorder is None:
            self._next_sequence, self._decode = sequence + 1, decode
            self._steady = tuple(each for each in sound.timeline.steady(sequence + 1) if each.name in SIDES)

    def _on_message(self, text: str | bytes) -> None:
        if self._reason is not None:
            return  # ignore messages after the end of the stream
        self._last_heard = self._loop.turn_began
        if type(text) is bytes and self._sound is not None and self._sound.binary:
            self._binary(text, self._sound.binary)
            return
        try:
            follows = self._audio_follows and self._sound is None
            message = parse_message(text, audio_follows=follows, of=self._started)
        except BadMessage as error:
            self.counts.bad_frames += 1
            self._tell(error.kind, "ignoring an unusable message (%s)", error.kind)
            return
        if type(message) is Media:
            self._media(message)
        elif isinstance(message, Start):
            self._start(message)
        elif isinstance(message, Stop):
            self._stop()
        elif self.core is not None:
            if isinstance(message, Dtmf):
                self.core.on_key(message)
            elif isinstance(message, Mark):
                self.core.on_mark(message.name)

    def _binary(self, data: bytes, channels: int) -> None:
        """Process a binary L16 frame from jambonz. If there are two channels, the first is the caller's."""
        if channels == 1:
            self._media(Media("inbound", data))
            return
        with memoryview(data)[: len(data) & ~3] as view, view.cast("H") as samples:
            for index, track in enumerate(SIDES):
                self._media(Media(track, samples[index::2].tobytes()))

    def _start(self, start: Start) -> None:
        if self.core is not None:
            self.counts.bad_frames += 1
            self._tell("second start", "ignoring a second start: a connection carries one stream")
            return
        self._connection.prove()
        self._started = start
        # L16 in binary frames is always little-endian.
        byteorder = "little" if start.binary else self._settings.l16_byteorder
        decoding = StreamDecoder(start.media_format, byteorder, self._tell)
        rate = self._delivered_rate(decoding)
        buffer = FrameBuffer(
            round(self._settings.buffer_seconds * rate) * 2,
            sample_rate=rate,
            encoding=decoding.encoding,
            wakes=self._loop.wakes,
            on_outran=partial(
                self._tell,
                "slow reader",
                "the reader is more than %g s behind; dropping the oldest frames (stats.dropped; saved audio is not"
                " affected): process audio in another thread or process",
                self._settings.buffer_seconds,
            ),
        )
        self.counts.timeline = timeline = Timeline(decoding.sample_rate)
        default_track = start.tracks[0] if start.tracks else "inbound"
        self._sound = _Decoding(decoding, timeline, buffer, default_track, start.binary)
        if decoding.decodable:
            self._recording = self._record(start, decoding)
            name, encoding = decoding.name, start.media_format.encoding
            self._diagnosis = self._looking = Diagnosis(
                name=name, encoding=encoding, sample_rate=decoding.sample_rate, tell=self._tell, two_way=self._two_way
            )
        speaker = self._make_speaker(start, decoding) if self._two_way else None
        self.core = core = StreamCore(buffer, self.counts, self._hang_up, speaker, self._realtime)
        recorder = None if self._recording is None else self._recording.recorder
        stream = AudioStream(start, core, sample_rate=rate, decodable=decoding.decodable, recorder=recorder)
        self._timer.cancel()  # last, so that the timer closes the connection if an earlier step fails
        if self._settings.idle_timeout is not None:
            self._timer = self._loop.call_later(self._settings.idle_timeout, self._check_idle)
        self._flow_timer = self._loop.call_later(_FLOW, self._check_flow)
        self._on_stream(stream, core)

    def _delivered_rate(self, decoding: StreamDecoder) -> int:
        """Return the sample rate of the delivered frames. Create resamplers if it differs from the codec's rate."""
        own, wanted = decoding.sample_rate, self._sample_rate
        if wanted is None or wanted == own or not decoding.decodable:
            return own
        from .dsp import Resamplers

        try:
            self._resamplers = Resamplers(own, wanted)
        except InvalidParameter:
            message = "announced %d Hz cannot be resampled to %d Hz; frames keep the announced rate"
            self._tell("sample rate", message, own, wanted)
            return own
        return wanted

    def _make_speaker(self, start: Start, decoding: StreamDecoder) -> Speaker:
        encoding, rate = start.media_format.encoding, decoding.sample_rate
        return Speaker(
            self._loop,
            self._connection,
            start.stream_id,
            rate,
            lambda: encoding_for(encoding, rate, decoding.l16_byteorder),
            send_timeout=self._settings.send_timeout,
        )

    def _record(self, start: Start, decoding: StreamDecoder) -> StreamRecording | None:
        make_file = self._settings.make_file
        if make_file is None:
            return None
        return StreamRecording(
            partial(make_file, start),
            decoding.sample_rate,
            start.tracks,
            self._connection,
            self._settings.disk,
            self._tell,
            f"call {start.call_id}" if start.call_id else "",
        )

    # -- audio ---------------------------------------------------------------------------------------------------------

    def _media(self, media: Media) -> None:
        sound = self._sound
        if sound is None:
            self.counts.bad_frames += 1
            self._tell("early media", "ignoring audio before start: its encoding is unknown")
            return
        if not media.track:
            media.track = sound.default_track
        if self._reorder is None:
            self._take(sound, media)
            return
        try:
            self._take_all(sound, self._reorder.push(media, self._last_heard))
        finally:
            self._await_missing(self._reorder)

    def _await_missing(self, reorder: Reorder) -> None:
        due = reorder.next_due
        if due is not None and self._order_timer is None:
            self._order_timer = self._loop.call_at(due, self._give_up_missing)

    def _give_up_missing(self) -> None:
        self._order_timer = None
        if self._reorder is not None and self._sound is not None and not self._finished:
            try:
                self._take_all(self._sound, self._reorder.due(self._loop.time()))
            finally:
                self._await_missing(self._reorder)

    def _take_all(self, sound: _Decoding, frames: Iterable[Media]) -> None:
        """Process frames from the reorder buffer. If a frame fails, the others are still processed."""
        net = Net()
        for each in frames:
            with net:
                self._take(sound, each)
        net.release()

    def _take(self, sound: _Decoding, media: Media) -> None:
        """Process one frame: discard it if it is a duplicate, otherwise decode and place it."""
        counts, track, timestamp = self.counts, media.track, media.timestamp
        timeline, decoding, payload = sound.timeline, sound.decoding, media.payload
        if not self._is_new(timeline, media):
            return
        self._steady = ()  # until _expect(), because is_duplicate() has changed the track
        try:
            pcm = decoding.decode(track, payload)
        except BadPacket as error:
            self._bad("bad packet", "skipping audio that cannot be decoded (%s)", error)
            return
        if not pcm:
            self._bad("empty media", "ignoring a media message without audio")
            return
        samples = len(pcm) // 2 if decoding.encoding is None else 0
        sound.began = sound.began or self._last_heard
        timeline.elapsed = self._last_heard - sound.began
        placed = timeline.place(track, timestamp, media.chunk, samples, len(payload))
        if placed.late or placed.hole:
            counts.gaps += placed.holes
            missing = counts.missing + (placed.hole - placed.filled) / decoding.sample_rate
            counts.missing = max(0.0, round(missing, 9))
            counts.late += placed.late
            if placed.hole:
                counts.gaps_seen += 1
                counts.missing_seen += placed.hole / decoding.sample_rate
        if self._looking is not None:
            self._looking = self._looking.look(track, timestamp, media.chunk, payload, pcm)
        self._expect(sound, media.sequence)
        self._keep(sound, track, placed.position, pcm, len(payload), timestamp, media.sequence)

    def _keep(
        self, sound: _Decoding, track: str, position: int, pcm: bytes, size: int, at: float | None, number: int | None
    ) -> None:
        """Count, record and deliver a frame."""
        counts = self.counts
        counts.frames += 1
        counts.bytes += size
        if at is None:
            seconds = position / sound.timeline.sample_rate
        else:
            seconds = at / 1000
            lag = self._last_heard - seconds
            if not counts.least_lag <= lag <= counts.least_lag + _LAG:
                counts.least_lag = lag
            counts.lag = lag
        # Record the frame before it can be read, so that the file never lacks a delivered frame.
        if self._recording is not None:
            self._recording.add(track, position, pcm, self._last_heard - sound.began)
        if self._resamplers is not None:
            pcm = self._resamplers.process(track, pcm)
        sound.buffer.put(track, pcm, seconds, number)

    def _is_new(self, timeline: Timeline, media: Media) -> bool:
        """Return whether to process a frame. Empty frames, duplicates and frames of unknown tracks are counted and skipped."""
        if not media.payload:
            self._bad("empty media", "ignoring a media message without audio")
            return False
        if media.track not in SIDES:
            if self._started is not None and self._started.tracks:
                self._bad("foreign track", "ignoring audio of an unknown track: %.40r", media.track)
                return False
            if not timeline.has_room_for(media.track):
                self._bad("tracks", "more than %d tracks in one stream; the others are ignored", MAX_TRACKS)
                return False
        if timeline.is_duplicate(media.track, media.timestamp, media.chunk, media.payload, media.sequence):
            self.counts.duplicates += 1
            return False
        return True

    def _bad(self, kind: str, message: str, *args: object) -> None:
        self.counts.bad_frames += 1
        self._tell(kind, message, *args)

    # -- the end -------------------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        self._finish("stopped")
        self._connection.close(1000, "stopped")

    def _no_start(self) -> None:
        self._tell(
            "no start",
            "no start within %g s; closing the connection: is the peer a media stream?",
            self._settings.start_timeout,
        )
        self._finish("closed")  # no stream was created
        self._connection.close(1008, "no start")

    def _check_idle(self) -> None:
        limit = self._settings.idle_timeout or 0.0
        due = self._last_heard + limit
        if self._loop.time() < due:
            self._timer = self._loop.call_at(due, self._check_idle)
            return
        self._tell("idle", "no message for %g s (idle_timeout): closing the stream", limit)
        self._finish("timed out")
        self._connection.close(1001, "idle")

    def _check_flow(self) -> None:
        if not self.counts.frames and not self._finished:
            self._tell(
                "no media",
                "start was received, but no audio within %g s: is the call on hold, or the track still silent?",
                _FLOW,
            )

    def _hang_up(self, abort: bool) -> None:
        """Close the connection on behalf of the stream. Safe to call from any thread.

        :param abort: close the socket without a closing handshake.
        """
        if abort:
            self._connection.abort()
        else:
            self._connection.close(1000, "closed here")

    def _on_close(self, info: CloseInfo) -> None:
        if self.core is not None and not self._finished and info.code in (1002, 1007, 1009) and not info.clean:
            self._tell("protocol", "closed after a WebSocket protocol error: %s", info.reason)
        if self.core is None and not self._finished and info.code != NO_ROOM:  # the server logs NO_ROOM
            self._tell("no start", "closed before start was received: is the peer a media stream?")
        # A close frame from the peer is a proper end, even if the peer does not wait for our reply.
        self._finish("dropped" if info.code is None else "closed")

    def _finish(self, reason: EndReason) -> None:
        if self._finished:
            return
        net = Net()  # waiting threads must be notified even if a step fails
        if self._reorder is not None and self._sound is not None:
            with net:
                self._take_all(self._sound, self._reorder.flush())
        self._reason = self._reason or reason
        self._steady = ()
        self._finished = True
        for timer in (self._timer, self._flow_timer, self._order_timer):
            if timer is not None:
                timer.cancel()
        with net:
            self._sum_up()
        if self._recording is not None:
            with net:
                self._recording.end()
        if self.core is not None:
            with net:
                self.core.end(reason)
        with net:
            self._on_end()
        self._on_stream = self._on_end = _forget  # break the reference cycle with the server
        net.release()

    def _sum_up(self) -> None:
        if self._diagnosis is not None:
            self._diagnosis.ended(self.counts.seconds)
        if self._sound is not None and self._sound.timeline.conflicts > 1:
            self._tell(
                "mixed",
                "%d frames repeat the track, chunk and timestamp of another frame with different audio: do two tracks share one"
                " name?",
                self._sound.timeline.conflicts,
            )


def _teller(troubles: RateLimitedLog, remote: str) -> Callable[..., None]:
    """Return a function that logs one connection's problems.

    The receiver's own objects store the function, so a bound method would create a reference cycle.
    """

    def tell(kind: str, message: str, *args: object) -> None:
        troubles.warning(kind, "media socket from %s: " + message, remote, *args)

    return tell


def _forget(*_: object) -> None:
    pass
