"""From the payloads of one stream to PCM: a decoder for each track, and an ear for the byte order of L16."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from ..errors import InvalidParameter, UnsupportedCodec
from .coders import Decoder, decoder_for
from .messages import RATES, MediaFormat
from .pcm_codecs import ByteOrder, guess_byteorder, parse_codec, usual_rate

__all__ = ["StreamDecoder"]

_LOOKS = 5  # payloads of L16 that must all look wrong before anything is said
_RATE = 8000  # of what cannot be decoded and does not say

Tell = Callable[..., object]


class StreamDecoder:
    """How the payloads of a stream are decoded.

    :param l16_byteorder: ``little``, ``big``, or ``auto`` to hear which of the two is sound.
    :param tell: called with a kind of trouble, a message and its arguments.
    :ivar encoding: ``None``; the carrier's name for the codec if it cannot be decoded and payloads stay raw.
    :ivar name: ``PCMU``, ``PCMA``, ``L16``, ``G722`` or ``OPUS``; ``""`` where it cannot be decoded.
    :ivar sample_rate: of the PCM in Hz.
    :ivar l16_byteorder: of L16, as far as known so far.
    """

    def __init__(self, form: MediaFormat, l16_byteorder: Literal["little", "big", "auto"], tell: Tell) -> None:
        self.encoding: str | None = None
        self.name: str = ""
        self._form = form
        self._order = l16_byteorder
        self.l16_byteorder: ByteOrder = "little" if l16_byteorder == "auto" else l16_byteorder
        self._tell = tell
        self._decoders: dict[str, Callable[[bytes], bytes]] = {}  # by track, where they keep state
        self._shared: Callable[[bytes], bytes] | None  # for all tracks, where they do not
        self._looks = 0  # payloads still to be looked at for their byte order
        self._doubts = 0
        self.sample_rate: int
        try:
            decoder = self._new()
        except (UnsupportedCodec, InvalidParameter) as error:
            self.encoding, self.sample_rate, self._shared = form.encoding, form.sample_rate or _RATE, _as_it_is
            tell("codec", "delivering raw payloads, neither decoded nor recorded: %s", error)
        else:
            self.name, self.sample_rate = decoder.name, decoder.sample_rate
            self._shared = None if decoder.stateful else decoder.decode
            self._looks = _LOOKS if decoder.name == "L16" else 0

    def _new(self) -> Decoder:
        form = self._form
        name = parse_codec(form.encoding)
        rate = form.sample_rate or name.sample_rate
        if rate is not None and rate not in RATES:  # an invalid rate counts as none
            rate = usual_rate(name.base)
        decoder = decoder_for(form.encoding, rate, l16_byteorder=self.l16_byteorder)
        if form.channels != 1 and (form.channels, decoder.name) != (2, "OPUS"):  # SDP always says two for Opus
            raise UnsupportedCodec(f"{form.channels} channels in one message")
        return decoder

    @property
    def decodable(self) -> bool:
        """Whether there is PCM."""
        return self.encoding is None

    def decode(self, track: str, payload: bytes) -> bytes:
        """The PCM of a track's next payload; the payload itself where it cannot be decoded.

        :raises BadPacket: it is none of this codec (see ``coders``); the next one may be.
        """
        if self._looks:
            self._check_byteorder(payload)
        if self._shared is not None:
            return self._shared(payload)
        decode = self._decoders.get(track)
        if decode is None:
            decode = self._new().decode
        pcm = decode(payload)
        self._decoders[track] = decode  # kept only once it has decoded: invented tracks fill no memory
        return pcm

    def _check_byteorder(self, payload: bytes) -> None:
        if payload.count(0) == len(payload):
            return  # looking at silence again and again costs time
        guess = guess_byteorder(payload)
        if guess is None:
            return  # silence is the same both ways
        order = self._order
        self._looks -= 1
        if order == "auto":
            self._looks = 0
            if guess == "big":
                self.l16_byteorder = guess
                self._shared = decoder_for("L16", self.sample_rate, l16_byteorder=guess).decode
                self._tell("byte order", "decoding L16 as big-endian (l16_byteorder='auto')")
        elif guess != order:
            self._doubts += 1
            if self._doubts == _LOOKS:
                self._tell(
                    "byte order", "L16 decoded as %s-endian is noise: use AudioServer(l16_byteorder=%r)?", order, guess
                )


def _as_it_is(payload: bytes) -> bytes:
    return payload
