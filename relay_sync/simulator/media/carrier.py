"""The media messages of one stream, from the carrier's side: what is said, cut into frames, coded, numbered. Pure, but that
G.722 and Opus need the extra ``codecs``.

One sequence runs through all numbered messages of the socket, beginning with ``start``; ``chunk`` counts from 1 per
track; ``timestamp`` is the time since the stream began, in ms (the vendor's stream pages).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from attrs import define, field

from ...audio import messages
from ...audio.coders import Decoder, Encoder, decoder_for, encoder_for
from .formats import Format
from .hearing import Tape
from .voice import Voice

__all__ = ["Carrier"]

DTMF_MILLISECONDS = 250  # how long a key is held; the sources have no figure that can be relied on


@define(kw_only=True)
class Carrier:
    """Writes the messages of one stream in order. Not for several threads.

    Making one raises ``UnsupportedCodec`` where the format cannot be played here.

    :ivar voices: what each track carries; the tracks in the order in which their frames alternate.
    :ivar offset: the first frame carries the speech from this sample on.
    :ivar two_way: whether the endpoint is heard as well; only then messages of keys name the stream.
    :ivar position: number of frame intervals sent, the timeline of all tracks.
    """

    format: Format
    voices: Mapping[str, Voice | Tape]
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
        """Code the audio otherwise than ``start`` says, for as long as the stream lasts."""
        form = self.format
        other = {"PCMU": "PCMA", "PCMA": "PCMU", "L16": "L16"}.get(form.base, "PCMU")
        self._encoders = {
            track: encoder_for(other, form.rate, ptime=form.ptime, l16_byteorder="big") for track in self.voices
        }

    def _number(self) -> int:
        self._sequence += 1
        return self._sequence

    def opening(self) -> list[str]:
        """``connected`` and ``start``."""
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
    def told(self) -> float:
        """Seconds sent, plus those before the stream."""
        return (self.offset + self.position * self.format.samples) / self.format.rate

    def has_told(self, voice: Voice | Tape) -> bool:
        """Whether a voice has been sent to its end, including samples that the codec delays."""
        samples = voice.samples_at(self.format.rate)
        return self.offset + self.position * self.format.samples >= (samples and samples + self._delay)

    @property
    def speaking(self) -> bool:
        """Whether some track still has speech to tell."""
        return not all(map(self.has_told, self.voices.values()))

    def tick(self) -> dict[str, tuple[str, bytes]]:
        """The messages of the next frame interval by track, each with the samples it carries, as PCM after the
        codec's rounding, which is what a decoder makes of it that has heard all before.

        Beyond the end of a speech there is silence, in the codec's own form.
        """
        start, samples = self.offset + self.position * self.format.samples, self.format.samples
        timestamp = self.position * self.format.ptime
        self.position += 1
        told = {}
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
            told[track] = message, self._decoders[track].decode(payload)
        return told

    def skip(self) -> None:
        """Skip one frame interval. The numbers advance, so that the receiver can see the gap."""
        start, samples = self.offset + self.position * self.format.samples, self.format.samples
        self.position += 1
        for track, voice in self.voices.items():
            if self._encoders[track].stateful:  # what is lost has been encoded all the same
                self._encoders[track].encode(voice.render(start, samples, self.format.rate))
            self._chunks[track] += 1
            self._sequence += 1

    def dtmf(self, digit: str) -> str:
        """A key was pressed."""
        named = self.stream_sid if self.two_way else None
        return messages.dtmf_message(sequence=self._number(), digit=digit, duration=DTMF_MILLISECONDS, stream_id=named)

    def stop(self) -> str:
        """The end."""
        return messages.stop_message(sequence=self._number())
