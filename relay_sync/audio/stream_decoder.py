"""Decode a stream's payloads, and check the byte order of L16."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from ..errors import InvalidParameter, UnsupportedCodec
from .coders import Decoder, decoder_for
from .messages import RATES, MediaFormat
from .pcm_codecs import ByteOrder, guess_byteorder, parse_codec, usual_rate

__all__ = ["StreamDecoder"]

_LOOKS = 5  # number of L16 payloads to check; a warning is logged if all of them have the wrong byte order
_RATE = 8000  # Hz, for streams that cannot be decoded and do not announce a rate

Tell = Callable[..., object]


class StreamDecoder:
    """Decoder for all tracks of a stream. If the codec is not supported, payloads are returned unchanged.

    :param form: the announced audio format.
    :param l16_byteorder: byte order of L16: ``little``, ``big``, or ``auto`` to detect it from the audio.
    :param tell: logs a problem, given its kind, a message and the message's arguments.
    :ivar encoding: ``None`` if the codec is supported, otherwise the carrier's name for it.
    :ivar name: ``PCMU``, ``PCMA``, ``L16``, ``G722`` or ``OPUS``; ``""`` if the codec is not supported.
    :ivar sample_rate: sample rate of the PCM in Hz.
    :ivar l16_byteorder: byte order currently used to decode L16.
    """

    def __init__(self, form: MediaFormat, l16_byteorder: Literal["little", "big", "auto"], tell: Tell) -> None:
        self.encoding: str | None = None
        self.name: str = ""
        self._form = form
        self._order = l16_byteorder
        self.l16_byteorder: ByteOrder = "little" if l16_byteorder == "auto" else l16_byteorder
        self._tell = tell
        self._decoders: dict[str, Callable[[bytes], bytes]] = {}  # stateful decoders, by track
        self._shared: Callable[[bytes], bytes] | None  # a stateless decoder for all tracks
        self._looks = 0  # number of payloads whose byte order is still to be checked
        self._doubts = 0  # number of payloads that had the wrong byte order
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
        if rate is not None and rate not in RATES:  # ignore an invalid rate
            rate = usual_rate(name.base)
        decoder = decoder_for(form.encoding, rate, l16_byteorder=self.l16_byteorder)
        if form.channels != 1 and (form.channels, decoder.name) != (2, "OPUS"):  # in SDP, Opus always has two channels
            raise UnsupportedCodec(f"{form.channels} channels in one message")
        return decoder

    @property
    def decodable(self) -> bool:
        """Whether the codec is supported, so that :meth:`decode` returns PCM."""
        return self.encoding is None

    @property
    def simple(self) -> Callable[[bytes], bytes] | None:
        """The function that decodes all further payloads, or ``None`` if only :meth:`decode` can decode them.

        The function is the same for all tracks, accepts any payload, and returns as much PCM for all payloads of a size.
        """
        if self._shared is None or self.encoding is not None:
            return None
        return partial(self.decode, "") if self._looks else self._shared

    def decode(self, track: str, payload: bytes) -> bytes:
        """Decode the next payload of a track.

        :return: PCM, or the payload itself if the codec is not supported.
        :raises BadPacket: the payload is invalid. Decoding can continue with the next payload.
        """
        if self._looks:
            self._check_byteorder(payload)
        if self._shared is not None:
            return self._shared(payload)
        decode = self._decoders.get(track)
        if decode is None:
            decode = self._new().decode
        pcm = decode(payload)
        self._decoders[track] = decode  # stored only after a valid payload, to limit memory for bogus tracks
        return pcm

    def _check_byteorder(self, payload: bytes) -> None:
        if payload.count(0) == len(payload):
            return  # fast path for silence
        guess = guess_byteorder(payload)
        if guess is None:
            return  # silence is equally likely in both byte orders
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
