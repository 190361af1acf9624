"""Decoders and encoders with a common interface for all codecs.

Decoders and encoders may keep state, so use a separate instance for each track and direction::

    encoder = encoder_for("OPUS@48000h@20i")
    for packet in encoder.encode(pcm):  # incomplete packets are kept for the next call
        send(packet)
    for packet in encoder.flush():  # the last packets, padded with silence
        send(packet)

    decoder = decoder_for(media_format.encoding, media_format.sample_rate or None)
    pcm = decoder.decode(payload)  # raises BadPacket if the payload is invalid

PCMU, PCMA and L16 are implemented in pure Python. G.722 and Opus are provided by FFmpeg and libopus through PyAV, which the
``codecs`` extra installs. PyAV is imported when one of these codecs is first used.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

from ..errors import InvalidParameter, UnsupportedCodec
from . import pyav
from .pcm_codecs import BadPacket, ByteOrder, CodecName, codec_for, parse_codec

__all__ = ["BadPacket", "Decoder", "Encoder", "check_available", "decoder_for", "encoder_for"]

OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
OPUS_INTERVALS = (5, 10, 20, 40, 60, 80, 100, 120)  # ms
G722_INTERVAL = 20  # the packet duration must be a multiple of this, in ms
_LEAST, _MOST = 5, 200  # minimum and maximum packet duration in ms


@define(eq=False, kw_only=True)
class Decoder:
    """Decoder for one track's payloads, which must be decoded in order.

    ``decode`` raises :class:`BadPacket` if it cannot decode a payload. Stateless codecs decode an empty payload to empty PCM,
    while stateful codecs reject it.

    G.722 is decoded to 16000 Hz, even if the carrier announces the RTP clock rate of 8000 Hz. Opus is decoded to 48000 Hz.

    :ivar name: ``PCMU``, ``PCMA``, ``L16``, ``G722`` or ``OPUS``.
    :ivar sample_rate: PCM sample rate in Hz, which may differ from the announced rate.
    :ivar stateful: whether decoding a payload depends on earlier payloads.
    :ivar decode: function that converts a payload to PCM (16-bit signed little-endian mono).
    """

    name: str
    sample_rate: int
    stateful: bool
    decode: Callable[[bytes], bytes] = field(repr=False)


@define(eq=False, kw_only=True)
class Encoder:
    """Encoder that converts one track's PCM to packets of equal duration.

    :param pack: function that encodes exactly one packet of PCM.
    :ivar name: ``PCMU``, ``PCMA``, ``L16``, ``G722`` or ``OPUS``.
    :ivar sample_rate: PCM sample rate in Hz.
    :ivar ptime: packet duration in milliseconds.
    :ivar stateful: whether a packet depends on earlier packets. If so, the receiver needs every packet, in order.
    :ivar delay: delay that the codec adds to the decoded audio, in samples.
    """

    name: str
    sample_rate: int
    ptime: int
    stateful: bool
    _pack: Callable[[bytes], bytes] = field(repr=False)
    delay: int = field(default=0, repr=False)
    _waiting: bytearray = field(factory=bytearray, init=False, repr=False)
    _owes: bool = field(default=False, init=False, repr=False)  # whether the codec still holds delayed audio

    @property
    def samples(self) -> int:
        """Number of samples per packet."""
        return self.sample_rate * self.ptime // 1000

    def encode(self, pcm: bytes) -> list[bytes]:
        """Encode PCM and return the completed packets. PCM that does not fill a packet is kept for the next call.

        :param pcm: 16-bit signed little-endian mono PCM.
        :raises InvalidParameter: ``pcm`` has an odd number of bytes.
        """
        if len(pcm) % 2:
            raise InvalidParameter("pcm", f"<{len(pcm)} bytes>", "16-bit PCM (an even number of bytes)")
        size, waiting = 2 * self.samples, self._waiting
        if not waiting and len(pcm) == size:  # the usual case
            self._owes = True
            return [self._pack(pcm)]
        waiting += pcm
        whole = len(waiting) - len(waiting) % size
        packets = [self._pack(bytes(waiting[start : start + size])) for start in range(0, whole, size)]
        del waiting[:whole]
        self._owes = self._owes or bool(packets)
        return packets

    def flush(self) -> list[bytes]:
        """Return the remaining packets, padded with silence.

        Silence is also added to flush delayed audio out of the codec. The encoder can be reused afterward.
        """
        silence = 2 * (self.delay if self._owes or self._waiting else 0)
        size, length = 2 * self.samples, len(self._waiting) + silence
        packets = self.encode(bytes(-(-length // size) * size - len(self._waiting)))
        self._owes = False
        return packets


def decoder_for(text: str, sample_rate: int | None = None, *, l16_byteorder: ByteOrder = "little") -> Decoder:
    """Return a new decoder for a codec.

    :param text: codec name or ``mediaFormat.encoding`` value.
    :param sample_rate: sample rate in Hz, which overrides the rate in ``text``. If neither is given, the codec's default is used.
    :param l16_byteorder: byte order of L16 samples. SignalWire sends little-endian; RFC 2586 and other carriers use big-endian.
    :return: the decoder.
    :raises UnsupportedCodec: the codec is unknown, needs the ``codecs`` extra, or has more than one channel. Opus may declare
        two channels, as SDP requires; they are mixed to mono.
    :raises InvalidParameter: ``text`` is not a codec name.
    """
    name = parse_codec(text)
    if name.base in ("OPUS", "G722"):
        _check_channels(text, name)
        decode, rate = pyav.decoding(name.base)
        return Decoder(name=name.base, sample_rate=rate, stateful=True, decode=decode)
    codec = codec_for(text, sample_rate, l16_byteorder=l16_byteorder)
    return Decoder(name=codec.name, sample_rate=codec.sample_rate, stateful=False, decode=codec.decode)


def encoder_for(
    text: str,
    sample_rate: int | None = None,
    *,
    ptime: int | None = None,
    l16_byteorder: ByteOrder = "little",
    bit_rate: int = 32_000,
) -> Encoder:
    """Return a new encoder for a codec, the counterpart of :func:`decoder_for`.

    :param text: codec name or ``mediaFormat.encoding`` value.
    :param sample_rate: PCM sample rate in Hz, which overrides the rate in ``text``. G.722 accepts 16000, and 8000 (its RTP
        clock rate) as a synonym. Opus accepts 8000, 12000, 16000, 24000 and 48000.
    :param ptime: packet duration in milliseconds, from 5 to 200, which overrides the value in ``text``. The default is 20. G.722
        accepts multiples of 20. Opus accepts 5, 10, 20, 40, 60, 80, 100 and 120.
    :param l16_byteorder: byte order of L16 samples, as for :func:`decoder_for`.
    :param bit_rate: Opus bit rate in bits per second, from 6000 to 510000.
    :return: the encoder.
    :raises UnsupportedCodec: the codec is unknown, needs the ``codecs`` extra, or has more than one channel.
    :raises InvalidParameter: ``text`` is not a codec name, or the codec does not support the rate, duration or bit rate.
    """
    name = parse_codec(text)
    interval = ptime or name.ptime or 20
    if name.base in ("OPUS", "G722"):
        return _packet_encoder(text, name, sample_rate or name.sample_rate, interval, bit_rate)
    codec = codec_for(text, sample_rate, l16_byteorder=l16_byteorder)
    if not _LEAST <= interval <= _MOST or codec.sample_rate * interval % 1000:
        raise InvalidParameter(
            "ptime", interval, f"from {_LEAST} to {_MOST} ms, and whole samples at {codec.sample_rate} Hz"
        )
    return Encoder(name=codec.name, sample_rate=codec.sample_rate, ptime=interval, stateful=False, pack=codec.encode)


def check_available(text: str) -> None:
    """Check that a codec is available for decoding and encoding.

    :param text: codec name or ``mediaFormat.encoding`` value.
    :raises UnsupportedCodec: the codec is unknown, or needs the ``codecs`` extra.
    :raises InvalidParameter: ``text`` is not a codec name.
    """
    name = parse_codec(text)
    if name.base in ("OPUS", "G722"):
        pyav.check_available(name.base)
    else:
        codec_for(name.base)


def _check_channels(text: str, name: CodecName) -> None:
    if name.channels not in ((None, 1, 2) if name.base == "OPUS" else (None, 1)):
        raise UnsupportedCodec(f"{text}: media streams are mono, one track per message; use one channel")


def _packet_encoder(text: str, name: CodecName, rate: int | None, interval: int, bit_rate: int) -> Encoder:
    if name.channels not in (None, 1):
        raise UnsupportedCodec(f"{text}: media streams are mono, one track per message; use one channel")
    if name.base == "G722":
        if rate not in (None, 8000, 16000):
            raise InvalidParameter("sample_rate", rate, "16000, the only sample rate of G.722")
        if interval % G722_INTERVAL or not _LEAST <= interval <= _MOST:
            raise InvalidParameter("ptime", interval, f"a multiple of {G722_INTERVAL} ms, at most {_MOST}")
        pack, delay, rate = pyav.g722_packing(), pyav.G722_DELAY, pyav.G722_RATE
    else:
        rate = rate or pyav.OPUS_RATE
        if rate not in OPUS_RATES:
            raise InvalidParameter("sample_rate", rate, f"one of {', '.join(map(str, OPUS_RATES))}")
        if interval not in OPUS_INTERVALS:
            raise InvalidParameter("ptime", interval, f"one of {', '.join(map(str, OPUS_INTERVALS))} ms")
        if not 6000 <= bit_rate <= 510_000:
            raise InvalidParameter("bit_rate", bit_rate, "from 6000 to 510000")
        pack = pyav.opus_packing(rate, interval, bit_rate)
        delay = -(-pyav.OPUS_DELAY * rate // pyav.OPUS_RATE)
    return Encoder(name=name.base, sample_rate=rate, ptime=interval, stateful=True, pack=pack, delay=delay)


for _public in (Decoder, Encoder):
    _public.__module__ = "relay_sync.audio"
