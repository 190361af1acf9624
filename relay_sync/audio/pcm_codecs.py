"""Codecs for the payloads of media messages: G.711 mu-law and A-law (both directions match the reference code of ITU-T G.191)
and L16.

Decoded audio is always 16-bit signed little-endian PCM. Codec names are accepted in the forms that carriers and people write:
``PCMU``, ``PCMU@8000h@20i``, ``audio/x-mulaw``, ``audio/x-L16;rate=16000``, ``opus/48000/2``, in any case.

These codecs keep no state: each payload stands alone. For the common interface to all codecs, including G.722 and Opus, see
``coders``.
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
    """The decoding table as two, for the low and the high byte: ``bytes.translate`` is the fastest look-up there is."""
    samples = [sample_of(code) & 0xFFFF for code in range(256)]
    return bytes(sample & 0xFF for sample in samples), bytes(sample >> 8 for sample in samples)


_MULAW_LOW, _MULAW_HIGH = _split(_mulaw_sample)
_ALAW_LOW, _ALAW_HIGH = _split(_alaw_sample)


def _expand(payload: bytes, low: bytes, high: bytes) -> bytes:
    pcm = bytearray(2 * len(payload))
    pcm[0::2] = payload.translate(low)
    pcm[1::2] = payload.translate(high)
    return bytes(pcm)


def _repeated(values: bytes, times: int) -> bytes:
    out = bytearray(times * len(values))
    for offset in range(times):
        out[offset::times] = values
    return bytes(out)


@cache
def _mulaw_codes() -> bytes:
    """The code of each sample, indexed by the sample as an unsigned 16-bit number.

    Built from run lengths: in 14-bit magnitudes biased by 33, the sixteen steps of segment *s* are ``2 << s`` wide. The
    magnitude of a negative sample is its one's complement, as in G.191: -1 is as loud as 0.
    """
    runs = b"".join(bytes([segment << 4 | step]) * (2 << segment) for segment in range(8) for step in range(16))
    magnitudes = runs[1:] + b"\x7f" * 33  # magnitude 0 is 33 biased, and the runs begin at 32; clipped from 8159
    positive = bytes(code ^ 0xFF for code in magnitudes[:8192])
    negative = bytes(code ^ 0x80 for code in reversed(positive))
    return _repeated(positive + negative, 4)


@cache
def _alaw_codes() -> bytes:
    """As :func:`_mulaw_codes`, in 12-bit magnitudes without bias; the first two segments have steps of two."""
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
    """Return the byte order in which L16 is more likely sound, or ``None`` if both are equally likely (silence).

    Adjacent samples of sound are close to each other; in the wrong byte order they are not.
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


# -- looking them up ---------------------------------------------------------------------------------------------------


class BadPacket(ValueError):
    """A payload that the decoder cannot decode. Skip it and continue with the next one."""


@frozen(kw_only=True)
class Codec:
    """Converts payloads to PCM and back.

    :ivar name: ``PCMU``, ``PCMA`` or ``L16``.
    :ivar sample_rate: sample rate in Hz.
    :ivar bytes_per_sample: bytes per sample of a payload.
    :ivar silence: the payload of one silent sample.
    :ivar decode: convert a payload to PCM (16-bit little-endian). An odd last byte of L16 is discarded.
    :ivar encode: convert PCM to a payload. The number of bytes must be even.
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

    :ivar base: ``PCMU``, ``PCMA``, ``L16``, ``OPUS``, ``G722``, or the name as given, in upper case.
    :ivar sample_rate: Hz, or ``None`` if not given.
    :ivar ptime: milliseconds per packet, or ``None``.
    :ivar channels: or ``None``.
    """

    base: str
    sample_rate: int | None = None
    ptime: int | None = None
    channels: int | None = None


def parse_codec(text: str) -> CodecName:
    """Parse ``NAME[@<hz>h][@<ms>i][@<n>c]`` (modifiers in any order), ``audio/NAME[;rate=..][;channels=..]`` or
    ``NAME/<hz>[/<channels>]``, as in SDP.

    :raises InvalidParameter: the text has neither form.
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
        if match is not None:  # others mean nothing here
            found[match[1][0].replace("R", "H")] = int(match[2])
    return CodecName(_BASES.get(name, name), found.get("H"), found.get("I"), found.get("C"))


def usual_rate(base: str) -> int:
    """Return the default sample rate of a codec in Hz, by its ``base``."""
    return _DEFAULT_RATES.get(base, 8000)


def codec_for(text: str, sample_rate: int | None = None, *, l16_byteorder: ByteOrder = "little") -> Codec:
    """Return the codec PCMU, PCMA or L16.

    :param text: name of the codec, or a ``mediaFormat.encoding``.
    :param sample_rate: sample rate in Hz; overrides the rate in *text*. By default the codec's usual rate.
    :param l16_byteorder: SignalWire sends L16 little-endian; RFC 2586 and other carriers use big-endian.
    :raises UnsupportedCodec: the codec is a different one, or has more than one channel.
    :raises InvalidParameter: *text* is not a codec name.
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
    """Return a message that explains why payloads of this encoding are delivered undecoded, and what to do about it."""
    try:
        base = parse_codec(encoding).base
    except InvalidParameter:
        base = ""
    if base in ("OPUS", "G722") and importlib.util.find_spec("av") is None:
        return f"{encoding} needs {CODECS_HINT}"
    return f"{encoding} cannot be decoded; use PCMU, PCMA, L16, G722 or OPUS"


@lru_cache(maxsize=64)  # a carrier may announce any rate
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
        decode=lambda payload: _expand(payload, low, high),
        encode=lambda pcm: _compress(pcm, codes()),
    )


# -- base64 ------------------------------------------------------------------------------------------------------------

_URL_SAFE = str.maketrans("-_", "+/", " \t\r\n")


def decode_base64(text: str) -> bytes:
    """Decode base64 strictly, but accept the variants that carriers send: no padding, the URL-safe alphabet, wrapped lines.

    :raises ValueError: the text is not base64; nothing is guessed.
    """
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        plain = text.translate(_URL_SAFE).rstrip("=")
        return binascii.a2b_base64(plain + "=" * (-len(plain) % 4), strict_mode=True)


for _public in (BadPacket, Codec):
    _public.__module__ = "relay_sync.audio"
