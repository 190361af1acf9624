"""G.711 and L16 codecs for the payloads of media messages.

The G.711 codecs (mu-law and A-law) match the ITU-T G.191 reference code in both directions. Decoded audio is always 16-bit
signed little-endian PCM. Codec names are case-insensitive and may be written in any common notation: ``PCMU``,
``PCMU@8000h@20i``, ``audio/x-mulaw``, ``audio/x-L16;rate=16000``, ``opus/48000/2``.

These codecs are stateless. The ``coders`` module provides a common interface to all codecs, including G.722 and Opus.
"""

from __future__ import annotations

import binascii
import importlib.util
import re
import sys
from array import array
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Literal

from attrs import field, frozen

from ..errors import InvalidParameter, UnsupportedCodec

__all__ = [
    "CODECS_HINT",
    "BadPacket",
    "Codec",
    "CodecName",
    "codec_for",
    "decode_base64",
    "guess_byteorder",
    "parse_codec",
    "usual_rate",
    "why_raw",
]

CODECS_HINT = 'the av package: pip install "av>=13"'

ByteOrder = Literal["little", "big"]
_ALIASES = {
    "PCMU": "PCMU MULAW ULAW MU-LAW U-LAW G711U G711_ULAW G711-ULAW BASIC",
    "PCMA": "PCMA ALAW A-LAW G711A G711_ALAW G711-ALAW",
    "L16": "L16 LINEAR16 PCM PCM16 LPCM S16LE PCM_S16LE SLIN",
    "OPUS": "OPUS",
    "G722": "G722 G.722",
}
_BASES = {alias: base for base, aliases in _ALIASES.items() for alias in aliases.split()}
_DEFAULT_RATES = {"PCMU": 8000, "PCMA": 8000, "L16": 8000, "G722": 16000, "OPUS": 48000}
_NAME = re.compile(r"([A-Z0-9][-A-Z0-9_.+]*)(?:/([0-9]{1,6})(?:/([0-9]{1,2}))?)?")
_MODIFIER = re.compile(r"([0-9]{1,6})([HIC])")
_PARAMETER = re.compile(r"\s*(RATE|CHANNELS)\s*=\s*\"?([0-9]{1,6})\"?\s*")


# -- G.711 (ITU-T) -----------------------------------------------------------------------------------------------------


def _mulaw_sample(code: int) -> int:
    inverted = ~code & 0xFF
    magnitude = (((inverted & 0x0F) << 3) + 0x84 << ((inverted & 0x70) >> 4)) - 0x84
    return -magnitude if inverted & 0x80 else magnitude


def _alaw_sample(code: int) -> int:
    plain = code ^ 0x55
    segment = (plain & 0x70) >> 4
    magnitude = ((plain & 0x0F) << 4) + (0x108 if segment else 8)
    if segment > 1:
        magnitude <<= segment - 1
    return magnitude if plain & 0x80 else -magnitude


def _split(sample_of: Callable[[int], int]) -> tuple[bytes, bytes]:
    """Build decoding tables for the low and the high byte of each sample, for use with ``bytes.translate``."""
    samples = [sample_of(code) & 0xFFFF for code in range(256)]
    return bytes(sample & 0xFF for sample in samples), bytes(sample >> 8 for sample in samples)


_MULAW_LOW, _MULAW_HIGH = _split(_mulaw_sample)
_ALAW_LOW, _ALAW_HIGH = _split(_alaw_sample)


def _expander(low: bytes, high: bytes) -> Callable[[bytes], bytes]:
    def expand(payload: bytes) -> bytes:
        pcm = bytearray(2 * len(payload))
        pcm[0::2] = payload.translate(low)
        pcm[1::2] = payload.translate(high)
        return bytes(pcm)

    return expand


def _repeated(values: bytes, times: int) -> bytes:
    out = bytearray(times * len(values))
    for offset in range(times):
        out[offset::times] = values
    return bytes(out)


@cache
def _mulaw_codes() -> bytes:
    """Return a table of mu-law codes, indexed by the sample as an unsigned 16-bit number.

    The table is built from run lengths. Magnitudes have 14 bits and a bias of 33, and each of the 16 steps in segment ``s`` is
    ``2 << s`` wide. As in G.191, the magnitude of a negative sample is its one's complement, so -1 has magnitude 0.
    """
    runs = b"".join(bytes([segment << 4 | step]) * (2 << segment) for segment in range(8) for step in range(16))
    magnitudes = runs[1:] + b"\x7f" * 33  # runs start at 32, but biased magnitudes at 33; clip from 8159
    positive = bytes(code ^ 0xFF for code in magnitudes[:8192])
    negative = bytes(code ^ 0x80 for code in reversed(positive))
    return _repeated(positive + negative, 4)


@cache
def _alaw_codes() -> bytes:
    """Return a table of A-law codes, indexed like the mu-law table.

    Magnitudes have 12 bits and no bias. Steps are two wide in the first two segments and twice as wide in each later one.
    """
    runs = b"".join(bytes([segment << 4 | step]) * (1 << max(segment, 1)) for segment in range(8) for step in range(16))
    positive = bytes(code ^ 0xD5 for code in runs)
    negative = bytes(code ^ 0x55 for code in reversed(runs))
    return _repeated(positive + negative, 8)


def _compress(pcm: bytes, codes: bytes) -> bytes:
    samples = array("H", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    return bytes(map(codes.__getitem__, samples))


# -- L16 ---------------------------------------------------------------------------------------------------------------


def _whole_samples(payload: bytes) -> bytes:
    return payload if len(payload) % 2 == 0 else payload[:-1]


def _swapped(payload: bytes) -> bytes:
    samples = array("H", _whole_samples(payload))
    samples.byteswap()
    return samples.tobytes()


def guess_byteorder(payload: bytes) -> ByteOrder | None:
    """Guess the byte order of an L16 payload.

    Adjacent audio samples differ little in the right byte order and greatly in the wrong one.

    :return: the more likely byte order, or ``None`` if both are equally likely, as for silence.
    """
    little = array("h", _whole_samples(payload))
    swapped = array("h", little)
    swapped.byteswap()
    if sys.byteorder == "big":
        little, swapped = swapped, little
    jumps = [sum(map(abs, map(int.__sub__, samples[1:], samples))) for samples in (little, swapped)]
    if jumps[0] == jumps[1]:
        return None
    return "little" if jumps[0] < jumps[1] else "big"


# -- lookup ------------------------------------------------------------------------------------------------------------


class BadPacket(ValueError):
    """A payload that cannot be decoded. Decoding can continue with the next payload."""


@frozen(kw_only=True)
class Codec:
    """A stateless codec, with functions that convert payloads to PCM and back.

    :ivar name: ``PCMU``, ``PCMA`` or ``L16``.
    :ivar sample_rate: sample rate in Hz.
    :ivar bytes_per_sample: size of an encoded sample in bytes.
    :ivar silence: one encoded sample of silence.
    :ivar decode: converts a payload to 16-bit little-endian PCM. In L16, a trailing odd byte is discarded.
    :ivar encode: converts PCM to a payload. The number of bytes must be even.
    """

    name: str
    sample_rate: int
    bytes_per_sample: int
    silence: bytes
    decode: Callable[[bytes], bytes] = field(repr=False, eq=False)
    encode: Callable[[bytes], bytes] = field(repr=False, eq=False)


@frozen
class CodecName:
    """The parts of a codec name.

    :ivar base: ``PCMU``, ``PCMA``, ``L16``, ``OPUS``, ``G722``, or the given name in upper case.
    :ivar sample_rate: sample rate in Hz, or ``None`` if not given.
    :ivar ptime: milliseconds per packet, or ``None`` if not given.
    :ivar channels: number of channels, or ``None`` if not given.
    """

    base: str
    sample_rate: int | None = None
    ptime: int | None = None
    channels: int | None = None


def parse_codec(text: str) -> CodecName:
    """Parse a codec name with optional parameters.

    The accepted forms are ``NAME[@<hz>h][@<ms>i][@<n>c]`` with modifiers in any order,
    ``audio/NAME[;rate=..][;channels=..]``, and ``NAME/<hz>[/<channels>]`` as in SDP.

    :raises InvalidParameter: the text matches none of these forms.
    """
    head, *parameters = text.strip().upper().split(";")
    name, *modifiers = head.split("@")
    match = _NAME.fullmatch(name.strip().removeprefix("AUDIO/").removeprefix("X-"))
    if match is None:
        raise InvalidParameter("codec", text, "a name such as PCMU, PCMA, L16 or L16@16000h")
    name = match[1]
    found = {letter: int(number) for letter, number in (("H", match[2]), ("C", match[3])) if number}
    for modifier in modifiers:
        match = _MODIFIER.fullmatch(modifier)
        if match is None:
            raise InvalidParameter("codec", text, "a name with modifiers such as @8000h (Hz) or @20i (ms)")
        found[match[2]] = int(match[1])
    for parameter in parameters:
        match = _PARAMETER.fullmatch(parameter)
        if match is not None:  # ignore unknown parameters
            found[match[1][0].replace("R", "H")] = int(match[2])
    return CodecName(_BASES.get(name, name), found.get("H"), found.get("I"), found.get("C"))


def usual_rate(base: str) -> int:
    """Return the default sample rate of a codec in Hz."""
    return _DEFAULT_RATES.get(base, 8000)


def codec_for(text: str, sample_rate: int | None = None, *, l16_byteorder: ByteOrder = "little") -> Codec:
    """Return the PCMU, PCMA or L16 codec.

    :param text: name of the codec, or a ``mediaFormat.encoding``.
    :param sample_rate: sample rate in Hz; overrides the rate in ``text``. If neither is given, the codec's usual rate is used.
    :param l16_byteorder: byte order of L16. SignalWire sends little-endian; RFC 2586 and other carriers use big-endian.
    :raises UnsupportedCodec: the codec is not PCMU, PCMA or L16, or has more than one channel.
    :raises InvalidParameter: ``text`` is not a codec name.
    """
    name = parse_codec(text)
    rate = sample_rate or name.sample_rate or usual_rate(name.base)
    if name.channels not in (None, 1):
        raise UnsupportedCodec(f"{text}: media streams are mono, one track per message; use one channel")
    if name.base in ("OPUS", "G722"):
        raise UnsupportedCodec(f"{name.base} packets depend on earlier packets: use decoder_for or encoder_for")
    if name.base not in ("PCMU", "PCMA", "L16"):
        raise UnsupportedCodec(f"{name.base} is not supported: use PCMU, PCMA, L16, G722 or OPUS")
    return _codec(name.base, rate, l16_byteorder)


def why_raw(encoding: str) -> str:
    """Explain why an encoding's payloads are delivered undecoded, and what to do about it."""
    try:
        base = parse_codec(encoding).base
    except InvalidParameter:
        base = ""
    if base in ("OPUS", "G722") and importlib.util.find_spec("av") is None:
        return f"{encoding} needs {CODECS_HINT}"
    return f"{encoding} cannot be decoded; use PCMU, PCMA, L16, G722 or OPUS"


@lru_cache(maxsize=64)  # bounded, because a carrier may announce any rate
def _codec(base: str, rate: int, byteorder: ByteOrder) -> Codec:
    if base == "L16":
        change = _whole_samples if byteorder == "little" else _swapped
        return Codec(name=base, sample_rate=rate, bytes_per_sample=2, silence=b"\0\0", decode=change, encode=change)
    low, high = (_MULAW_LOW, _MULAW_HIGH) if base == "PCMU" else (_ALAW_LOW, _ALAW_HIGH)
    codes = _mulaw_codes if base == "PCMU" else _alaw_codes
    return Codec(
        name=base,
        sample_rate=rate,
        bytes_per_sample=1,
        silence=b"\xff" if base == "PCMU" else b"\xd5",
        decode=_expander(low, high),
        encode=lambda pcm: _compress(pcm, codes()),
    )


# -- base64 ------------------------------------------------------------------------------------------------------------

_URL_SAFE = str.maketrans("-_", "+/", " \t\r\n")


def decode_base64(text: str) -> bytes:
    """Decode base64. Missing padding, the URL-safe alphabet and line breaks are accepted, because some carriers send them.

    :raises ValueError: the text is not valid base64.
    """
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        plain = text.translate(_URL_SAFE).rstrip("=")
        return binascii.a2b_base64(plain + "=" * (-len(plain) % 4), strict_mode=True)


for _public in (BadPacket, Codec):
    _public.__module__ = "relay_sync.audio"
