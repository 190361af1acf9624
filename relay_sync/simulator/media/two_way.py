"""A stream that the call is connected to: the endpoint hears the party *and* is heard. Runs on the loop's thread.

What the endpoint may send is documented; the simulator's choices where the sources are silent:

* The clock of what is heard is the clock of the frames: one interval is played when one is sent, so a mark may come
  back up to one interval late, and never early. With ``media="fast"`` there is no clock: what arrives is heard at once.
* ``realtime``: of what waits, the oldest is dropped beyond ``LONGEST``; without it everything is kept and played late.
* What the platform would spoil without a word is left out and noted (``Stream.notices``, and a warning in the log, once
  a kind and stream). A simulator that is ``strict`` closes the socket with 1008 as well.
* A key that the endpoint sends is heard by the party, and noted as ``keys``.
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

LONGEST = 0.2  # seconds that may wait to be heard with realtime; how much the platform keeps is not known
MOST_ARRIVALS = 10_000
_HEADERS = {b"RIFF": "a WAV file", b"OggS": "an Ogg file", b"ID3": "an MP3 file", b"fLaC": "a FLAC file"}
_KEYS = frozenset("0123456789*#ABCD")

Message = dict[str, Any]


@define(eq=False, kw_only=True)
class TwoWayStream(Stream):
    """A stream as the network side sees it, with what came back.

    :ivar realtime: as the client chose it.
    :ivar keys: the keys that the endpoint pressed.
    :ivar arrivals: when the last 10,000 pieces of audio came, by the clock of what is heard, and how long they are; both in
        samples.
    :ivar on_state: told of ``streaming`` and ``finished``, for the bridge that the stream is part of.
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
        """What the party heard, and when: 16-bit PCM at the stream's rate after the codec's rounding, the silence
        between left out. The first ``record_seconds`` of it.
        """
        return self._queue.heard

    @property
    def heard_audio(self) -> bytes:
        """What the party heard, in one piece without the silence between."""
        return b"".join(piece.pcm for piece in self.heard)

    @property
    def waiting(self) -> float:
        """Seconds of audio that wait to be heard."""
        return self._queue.waiting / self.format.rate

    def pause_reading(self) -> None:
        """Read nothing more of what the endpoint sends, as a peer that hangs."""
        if self._connection is not None:
            self._connection.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
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
            self.note("malformed", "a message that is no JSON object")
            return
        act = _ACTS.get(str(message.get("event")))
        if act is None:
            self.note("malformed", f"an event that is not known: {str(message.get('event'))[:40]}")
        elif message.get("streamSid") != self._carrier.stream_sid:
            self.note("streamSid", f"a {message['event']} message without the right streamSid: it is ignored")
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
            self.note("malformed", "media without a payload in base64")
            return
        for head, kind in _HEADERS.items():
            if payload.startswith(head):
                self.note("header", f"audio that begins like {kind}: the header is heard as noise")
        if self.format.base == "L16" and len(payload) % 2:
            self.note("odd", "L16 audio of an odd number of bytes: from here on it would be noise")
            payload = payload[:-1]
        try:
            pcm = self._decoder.decode(payload)
        except BadPacket as problem:
            self.note("undecodable", f"audio that cannot be decoded: {problem}")
            return
        self.arrivals.append((self._queue.position, len(pcm) // 2))
        dropped = self._queue.add(pcm)
        if dropped:
            self.note("burst", f"more than {LONGEST:g} s ahead with realtime=true: the oldest audio is not heard")

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
            self.note("malformed", "dtmf without one digit of 0-9, *, #, A-D")
            return
        self.keys += digit

    def _echo(self, names: list[str]) -> None:
        if self._connection is not None and not self._finished:
            for name in names:
                self._connection.send(messages.mark_message(name=name, stream_id=self._carrier.stream_sid))

    # -- as every stream, and a little more ----------------------------------------------------------------------------

    @property
    def _fast(self) -> bool:
        return self._world.settings.media == "fast"

    def _interval(self) -> None:
        if not self._fast:
            self._echo(self._queue.tick(self.format.samples))

    def _begun(self) -> None:
        self._decoder = decoder_for(self.format.base, self.format.rate)
        self._carrier.two_way = True

    def _emit(self, params: dict[str, Any]) -> None:
        self.on_state(self, params["state"])


def open_two_way(
    world: World, call: StreamedCall, params: Mapping[str, Any], on_state: Callable[[TwoWayStream, str], object]
) -> TwoWayStream:
    """Open the stream that the parameters of a stream device describe.

    :param on_state: told of ``streaming`` and ``finished``, the latter before this returns where it cannot be opened.
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
