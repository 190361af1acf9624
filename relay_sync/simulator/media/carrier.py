"""A stream's media messages, as the carrier sends them.

The carrier divides speech into frames, encodes them and numbers the messages. A connection's numbered messages share one
sequence, which starts with the ``start`` message. ``chunk`` is counted separately for each track, from 1. ``timestamp`` is the
number of milliseconds since the stream started. The vendor's stream pages document these rules.

This module does no I/O. G.722 and Opus need the ``codecs`` extra.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from attrs import define, field

from ...audio import messages
from ...audio.coders import Decoder, Encoder, decoder_for, encoder_for
from .formats import Format
from .voice import Sound

__all__ = ["Carrier"]

DTMF_MILLISECONDS = 250  # duration of a digit; no reliable value is documented


@define(kw_only=True)
class Carrier:
    """Message builder for one stream. Not thread-safe.

    :ivar format: audio format of the stream.
    :ivar voices: audio for each track. The tracks' frames alternate in this order.
    :ivar account: account ID for the ``start`` message.
    :ivar call_id: call ID for the ``start`` message.
    :ivar custom_parameters: custom parameters for the ``start`` message.
    :ivar offset: offset in the speech where the first frame starts, in samples.
    :ivar stream_sid: stream ID.
    :ivar two_way: whether the stream is two-way. If so, DTMF messages include the stream ID.
    :ivar position: number of frame intervals sent or skipped so far.
    :raises UnsupportedCodec: the simulator cannot encode the format.
    """

    format: Format
    voices: Mapping[str, Sound]
    account: str
    call_id: str
    custom_parameters: Mapping[str, Any] | None = field(default=None, repr=False)
    offset: int = 0
    stream_sid: str = field(factory=lambda: str(uuid.uuid4()))
    two_way: bool = False
    position: int = field(default=0, init=False)
    _encoders: dict[str, Encoder] = field(init=False, repr=False)
    _decoders: dict[str, Decoder] = field(init=False, repr=False)
    _delay: int = field(init=False, repr=False)
    _sequence: int = field(default=0, init=False)
    _chunks: dict[str, int] = field(init=False)

    def __attrs_post_init__(self) -> None:
        form = self.format
        self._encoders = {track: encoder_for(form.base, form.rate, ptime=form.ptime) for track in self.voices}
        self._decoders = {track: decoder_for(form.base, form.rate) for track in self.voices}
        self._delay = max((encoder.delay for encoder in self._encoders.values()), default=0)
        self._chunks = dict.fromkeys(self.voices, 0)

    def mislabel(self) -> None:
        """Encode the rest of the stream differently than ``start`` announced."""
        form = self.format
        other = {"PCMU": "PCMA", "PCMA": "PCMU", "L16": "L16"}.get(form.base, "PCMU")
        self._encoders = {
            track: encoder_for(other, form.rate, ptime=form.ptime, l16_byteorder="big") for track in self.voices
        }

    def _number(self) -> int:
        self._sequence += 1
        return self._sequence

    def opening(self) -> list[str]:
        """Return the ``connected`` and ``start`` messages."""
        start = messages.start_message(
            stream_id=self.stream_sid,
            account_id=self.account,
            call_id=self.call_id,
            tracks=list(self.voices),
            media_format=messages.MediaFormat(self.format.encoding, self.format.announced_rate),
            custom_parameters=self.custom_parameters,
            sequence=self._number(),
        )
        return [messages.connected_message(), start]

    @property
    def seconds_sent(self) -> float:
        """Position in the speech after the last frame sent, in seconds."""
        return (self.offset + self.position * self.format.samples) / self.format.rate

    def has_sent(self, voice: Sound) -> bool:
        """Return whether an entire voice has been sent, including samples that the codec delays."""
        samples = voice.samples_at(self.format.rate)
        return self.offset + self.position * self.format.samples >= (samples and samples + self._delay)

    @property
    def speaking(self) -> bool:
        """Whether any track has more speech to send."""
        return not all(map(self.has_sent, self.voices.values()))

    def tick(self) -> dict[str, tuple[str, bytes]]:
        """Advance one frame interval and return each track's message, with the PCM that a receiver decodes from it.

        Once the speech has ended, the messages contain encoded silence.
        """
        start, samples = self.offset + self.position * self.format.samples, self.format.samples
        timestamp = self.position * self.format.ptime
        self.position += 1
        sent = {}
        for track, voice in self.voices.items():
            (payload,) = self._encoders[track].encode(voice.render(start, samples, self.format.rate))
            self._chunks[track] += 1
            message = messages.media_message(
                track=track,
                sequence=self._number(),
                chunk=self._chunks[track],
                timestamp=timestamp,
                payload=payload,
            )
            sent[track] = message, self._decoders[track].decode(payload)
        return sent

    def skip(self) -> None:
        """Skip one frame interval. The counters advance, so the receiver can detect the gap."""
        start, samples = self.offset + self.position * self.format.samples, self.format.samples
        self.position += 1
        for track, voice in self.voices.items():
            if self._encoders[track].stateful:  # the next packets depend on the lost ones
                self._encoders[track].encode(voice.render(start, samples, self.format.rate))
            self._chunks[track] += 1
            self._sequence += 1

    def dtmf(self, digit: str) -> str:
        """Return the message for a pressed digit."""
        named = self.stream_sid if self.two_way else None
        return messages.dtmf_message(sequence=self._number(), digit=digit, duration=DTMF_MILLISECONDS, stream_id=named)

    def stop(self) -> str:
        """Return the ``stop`` message."""
        return messages.stop_message(sequence=self._number())
