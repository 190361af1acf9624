"""Two-way media stream of a simulated call: the endpoint receives the party's audio and plays audio to the party.

Streams run on the loop thread. The vendor documents the messages of the endpoint. The following behavior is not documented and
was chosen for the simulator:

* Audio from the endpoint is played at the rate of the sent frames. One interval is played whenever a frame is sent, so a mark may
  be returned up to one interval late, but never early. With ``media="fast"`` there is no clock, and audio is played as soon as
  it arrives.
* With ``realtime``, the queue is limited to ``LONGEST`` seconds and the oldest audio is dropped. Otherwise all audio is kept and
  played late.
* Data that the platform would silently drop or garble is skipped. It is added to ``Stream.notices`` and logged as a warning, once
  per kind and stream. A ``strict`` simulator also closes the connection with code 1008.
* Digits from the endpoint are played to the party and added to ``keys``.
"""

from __future__ import annotations

import binascii
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, field

from ...audio import messages
from ...audio.coders import Decoder, decoder_for
from ...audio.pcm_codecs import BadPacket
from ...text.json_text import read_strictly
from ..core.world import World
from .sound_queue import HeardSound, SoundQueue
from .stream import Stream, StreamedCall, open_stream

__all__ = ["TwoWayStream", "open_two_way"]

LONGEST = 0.2  # maximum audio in the queue with realtime, in seconds; the platform's limit is not documented
MOST_ARRIVALS = 10_000
_HEADERS = {b"RIFF": "a WAV file", b"OggS": "an Ogg file", b"ID3": "an MP3 file", b"fLaC": "a FLAC file"}
_KEYS = frozenset("0123456789*#ABCD")

Message = dict[str, Any]


@define(eq=False, kw_only=True)
class TwoWayStream(Stream):
    """A two-way stream between a simulated call and an endpoint.

    :param world: internal state of the simulator.
    :param call: call that the stream belongs to.
    :param token: bearer token for the endpoint; ``None`` sends no token.

    :ivar control_id: ID that the simulator generated for the stream.
    :ivar url: URL of the endpoint.
    :ivar tracks: always ``("inbound",)``.
    :ivar format: codec, sample rate and frame duration of the stream.
    :ivar name: name of the stream, if the client chose one.
    :ivar custom_parameters: custom parameters for the endpoint.
    :ivar status_url: URL of the status webhook; ``""`` for none.
    :ivar status_url_method: HTTP method of the status webhook.
    :ivar realtime: whether the client requested ``realtime``.
    :ivar keys: digits that the endpoint sent.
    :ivar arrivals: position and length, in samples, of the last 10,000 audio messages from the endpoint.
    :ivar on_state: called with the stream and its new state, ``streaming`` or ``finished``.
    """

    realtime: bool = False
    keys: str = field(default="", init=False)
    arrivals: deque[tuple[int, int]] = field(factory=lambda: deque(maxlen=MOST_ARRIVALS), init=False, repr=False)
    on_state: Callable[[TwoWayStream, str], object] = field(repr=False)
    _queue: SoundQueue = field(init=False, repr=False)
    _decoder: Decoder = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        rate = self.format.rate
        self._queue = SoundQueue(
            longest=round(LONGEST * rate) if self.realtime else None,
            keep=round(self._world.settings.record_seconds * rate),
        )

    # -- for tests, from any thread ------------------------------------------------------------------------------------

    @property
    def heard(self) -> tuple[HeardSound, ...]:
        """Audio that the party heard, split at pauses, as 16-bit PCM at the sample rate of the stream.

        Only the first ``record_seconds`` seconds are kept.
        """
        return self._queue.heard

    @property
    def heard_audio(self) -> bytes:
        """Audio that the party heard, joined without the pauses."""
        return b"".join(piece.pcm for piece in self.heard)

    @property
    def waiting(self) -> float:
        """Duration of the queued audio in seconds."""
        return self._queue.waiting / self.format.rate

    def pause_reading(self) -> None:
        """Stop reading from the endpoint, to simulate a peer that hangs."""
        if self._connection is not None:
            self._connection.pause_reading()

    def resume_reading(self) -> None:
        """Resume reading from the endpoint."""
        if self._connection is not None:
            self._connection.resume_reading()

    # -- from the endpoint ---------------------------------------------------------------------------------------------

    def _on_message(self, text: str | bytes) -> None:
        self.received.append(text)
        if self._finished:
            return
        if not isinstance(text, str):
            self.note("binary", "a binary frame: only text frames with JSON are understood")
            return
        try:
            message = read_strictly(text)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            self.note("malformed", "a message that is not a JSON object")
            return
        act = _ACTS.get(str(message.get("event")))
        if act is None:
            self.note("malformed", f"an unknown event: {str(message.get('event'))[:40]}")
        elif message.get("streamSid") != self._carrier.stream_sid:
            self.note("streamSid", f"a {message['event']} message with a wrong or missing streamSid, which is ignored")
        else:
            act(self, message)
            if self._fast:
                self._echo(self._queue.rush())
            self._board.changed()

    def _media(self, message: Message) -> None:
        media = message.get("media")
        try:
            payload = binascii.a2b_base64(media["payload"], strict_mode=True)  # type: ignore[index]  # checked here
        except (TypeError, KeyError, ValueError):
            self.note("malformed", "a media message without a base64 payload")
            return
        for head, kind in _HEADERS.items():
            if payload.startswith(head):
                self.note("header", f"audio that looks like {kind}: the party hears the header as noise")
        if self.format.base == "L16" and len(payload) % 2:
            self.note("odd", "L16 audio with an odd number of bytes: the audio after it would be noise")
            payload = payload[:-1]
        try:
            pcm = self._decoder.decode(payload)
        except BadPacket as problem:
            self.note("undecodable", f"audio that cannot be decoded: {problem}")
            return
        self.arrivals.append((self._queue.position, len(pcm) // 2))
        dropped = self._queue.add(pcm)
        if dropped:
            self.note("burst", f"audio more than {LONGEST:g} s ahead with realtime=true: the oldest audio is dropped")

    def _mark(self, message: Message) -> None:
        mark = message.get("mark")
        name = mark.get("name") if isinstance(mark, dict) else None
        if not isinstance(name, str) or not name:
            self.note("malformed", "a mark without a name")
            return
        self._echo(self._queue.mark(name))

    def _clear(self, _message: Message) -> None:
        self._echo(self._queue.clear())

    def _dtmf(self, message: Message) -> None:
        dtmf = message.get("dtmf")
        digit = dtmf.get("digit") if isinstance(dtmf, dict) else None
        if not isinstance(digit, str) or len(digit) != 1 or digit not in _KEYS:
            self.note("malformed", "a dtmf message without exactly one digit of 0-9, *, #, A-D")
            return
        self.keys += digit

    def _echo(self, names: list[str]) -> None:
        if self._connection is not None and not self._finished:
            for name in names:
                self._connection.send(messages.mark_message(name=name, stream_id=self._carrier.stream_sid))

    # -- additions to one-way streams ----------------------------------------------------------------------------------

    @property
    def _fast(self) -> bool:
        return self._world.settings.media == "fast"

    def _interval(self) -> None:
        if not self._fast:
            self._echo(self._queue.tick(self.format.samples))

    def _started(self) -> None:
        self._decoder = decoder_for(self.format.base, self.format.rate)
        self._carrier.two_way = True

    def _emit(self, params: dict[str, Any]) -> None:
        self.on_state(self, params["state"])


def open_two_way(
    world: World, call: StreamedCall, params: Mapping[str, Any], on_state: Callable[[TwoWayStream, str], object]
) -> TwoWayStream:
    """Open a two-way stream with the parameters of a stream device.

    :param world: internal state of the simulator.
    :param call: call that the stream belongs to.
    :param params: parameters of the device.
    :param on_state: called with the stream and its new state, ``streaming`` or ``finished``. If the stream cannot be opened,
        it is called with ``finished`` before this function returns.
    """
    return open_stream(
        TwoWayStream,
        world,
        call,
        params,
        control_id=str(uuid.uuid4()),
        tracks=("inbound",),
        realtime=params.get("realtime", False),
        on_state=on_state,
    )


_ACTS: dict[str, Callable[[TwoWayStream, Message], None]] = {
    "media": TwoWayStream._media,
    "mark": TwoWayStream._mark,
    "clear": TwoWayStream._clear,
    "dtmf": TwoWayStream._dtmf,
}
