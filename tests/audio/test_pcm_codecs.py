"""Codecs against the ITU formulas written out plainly, against the standard library where it still has them, and base64."""

from __future__ import annotations

import base64
import struct
import sys
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_sync import InvalidParameter, UnsupportedCodec
from relay_sync.audio.pcm_codecs import CodecName, codec_for, decode_base64, parse_codec

CODES = bytes(range(256))
SAMPLES = struct.pack("<65536h", *range(-32768, 32768))
PCMU, PCMA = codec_for("PCMU"), codec_for("PCMA")


def _unpack(pcm: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(pcm) // 2}h", pcm)


def _mulaw_by_search(sample: int) -> int:
    """G.711 mu-law of the 14 upper bits: sign, segment, step. Negative samples count by their one's complement (G.191)."""
    mask = 0xFF if sample >= 0 else 0x7F
    biased = min((sample if sample >= 0 else ~sample) >> 2, 8158) + 33
    segment = biased.bit_length() - 6
    return (segment << 4 | (biased >> segment + 1) & 15) ^ mask


def _alaw_by_search(sample: int) -> int:
    """G.711 A-law of the 13 upper bits; likewise."""
    mask = 0xD5 if sample >= 0 else 0x55
    magnitude = (sample if sample >= 0 else ~sample) >> 3
    segment = max(0, magnitude.bit_length() - 5)
    return (segment << 4 | (magnitude >> max(segment, 1)) & 15) ^ mask


def test_mulaw_encodes_every_sample_by_the_formula() -> None:
    assert PCMU.encode(SAMPLES) == bytes(map(_mulaw_by_search, range(-32768, 32768)))


def test_alaw_encodes_every_sample_by_the_formula() -> None:
    assert PCMA.encode(SAMPLES) == bytes(map(_alaw_by_search, range(-32768, 32768)))


@pytest.mark.parametrize(("codec", "twin"), [(PCMU, {0x7F: 0xFF}), (PCMA, {})])
def test_every_code_survives_decoding_and_encoding(codec: Any, twin: dict[int, int]) -> None:
    """mu-law has two zeros; what decodes to 0 comes back as the positive one."""
    assert codec.encode(codec.decode(CODES)) == bytes(twin.get(code, code) for code in CODES)


@pytest.mark.parametrize(
    ("codec", "code", "sample"),
    [
        (PCMU, 0x00, -32124),
        (PCMU, 0x80, 32124),
        (PCMU, 0xFF, 0),
        (PCMU, 0x7F, 0),
        (PCMU, 0xFE, 8),
        (PCMA, 0xD5, 8),
        (PCMA, 0x55, -8),
        (PCMA, 0xAA, 32256),
        (PCMA, 0x2A, -32256),
    ],
)
def test_known_values(codec: Any, code: int, sample: int) -> None:
    assert _unpack(codec.decode(bytes([code]))) == (sample,)


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="audioop left the standard library with 3.13")
def test_bit_exact_with_the_standard_library() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import audioop
    assert PCMU.decode(CODES) == audioop.ulaw2lin(CODES, 2)
    assert PCMA.decode(CODES) == audioop.alaw2lin(CODES, 2)
    # Not lin2ulaw: it takes the magnitude of negative samples by their two's complement, unlike the code of G.191.
    assert PCMA.encode(SAMPLES) == audioop.lin2alaw(SAMPLES, 2)


@pytest.mark.parametrize("codec", [PCMU, PCMA])
def test_both_signs_are_alike(codec: Any) -> None:
    """The quietest negative samples are no louder than the positive ones, and full scale is the same on both sides."""
    codes = codec.encode(SAMPLES)
    assert codes[:32768] == bytes(code ^ 0x80 for code in reversed(codes[32768:]))
    assert [codec.encode(struct.pack("<h", sample))[0] & 0x7F for sample in (-1, 0, -32768, 32767)] == [
        codec.silence[0] & 0x7F,
        codec.silence[0] & 0x7F,
        *([0x00] * 2 if codec is PCMU else [0x2A] * 2),
    ]


@pytest.mark.parametrize("codec", [PCMU, PCMA])
def test_decoding_is_as_near_as_g711_allows(codec: Any) -> None:
    """Within half a step of the segment; the largest step is 1024 (mu-law: 1024 too, and it clips)."""
    for sample, back in zip(_unpack(SAMPLES), _unpack(codec.decode(codec.encode(SAMPLES))), strict=True):
        assert abs(sample - back) <= max(16, abs(sample) // 16 + 8) + (645 if abs(sample) > 32000 else 0)


def test_l16_both_ways_round() -> None:
    little, big = codec_for("L16@16000h"), codec_for("audio/x-L16;rate=16000", l16_byteorder="big")
    pcm = struct.pack("<3h", 1, -2, 300)
    assert little.decode(pcm) == little.encode(pcm) == pcm
    assert big.encode(pcm) == struct.pack(">3h", 1, -2, 300)
    assert big.decode(big.encode(pcm)) == pcm
    for codec in (little, big):
        assert len(codec.decode(pcm + b"x")) == 6  # an odd byte is no sample
        assert codec.decode(b"x") == b""


@given(st.binary(max_size=400).filter(lambda data: len(data) % 2 == 0))
def test_lengths(pcm: bytes) -> None:
    for codec in (PCMU, PCMA, codec_for("L16"), codec_for("L16", l16_byteorder="big")):
        payload = codec.encode(pcm)
        assert len(payload) == len(pcm) // 2 * codec.bytes_per_sample
        assert len(codec.decode(payload)) == len(pcm)


@pytest.mark.parametrize("codec", [PCMU, PCMA, codec_for("L16")])
def test_silence_is_silent(codec: Any) -> None:
    assert abs(_unpack(codec.decode(codec.silence))[0]) <= 8


@pytest.mark.parametrize(
    ("text", "base", "rate"),
    [
        ("PCMU", "PCMU", 8000),
        ("pcmu@8000h@20i", "PCMU", 8000),
        ("audio/x-mulaw", "PCMU", 8000),
        ("AUDIO/X-MULAW;rate=8000", "PCMU", 8000),
        ("audio/PCMU; rate=8000; channels=1", "PCMU", 8000),
        ("ulaw", "PCMU", 8000),
        ("audio/basic", "PCMU", 8000),
        (" audio/x-alaw ", "PCMA", 8000),
        ("PCMA@40i", "PCMA", 8000),
        ("audio/x-L16", "L16", 8000),
        ("L16@24000h@40i", "L16", 24000),
        ("l16@40i@24000h@1c", "L16", 24000),
        ("audio/l16;rate=16000;foo=bar", "L16", 16000),
    ],
)
def test_names_that_mean_a_codec(text: str, base: str, rate: int) -> None:
    codec = codec_for(text)
    assert (codec.name, codec.sample_rate) == (base, rate)


def test_the_rate_given_wins() -> None:
    assert codec_for("audio/x-L16;rate=8000", 24000).sample_rate == 24000


def test_a_name_taken_apart() -> None:
    assert parse_codec("opus@48000h@20i@2c") == CodecName("OPUS", 48000, 20, 2)
    assert parse_codec("AMR-WB") == CodecName("AMR-WB")


@pytest.mark.parametrize("text", ["OPUS", "G722", "audio/opus", "AMR-WB", "L16@2c", "audio/L16;channels=2"])
def test_what_cannot_be_decoded_says_so(text: str) -> None:
    with pytest.raises(UnsupportedCodec):
        codec_for(text)


@pytest.mark.parametrize("text", ["", "@8000h", "PCMU@", "PCMU@8000", "PCMU@x", "PC MU", "audio/", "é"])
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        codec_for(text)
    assert caught.value.parameter == "codec"


@given(st.binary(max_size=300), st.integers(1, 80))
def test_base64_as_carriers_write_it(data: bytes, width: int) -> None:
    plain = base64.b64encode(data).decode()
    url_safe = base64.urlsafe_b64encode(data).decode()
    wrapped = "\r\n".join(plain[start : start + width] for start in range(0, len(plain), width))
    for text in (plain, plain.rstrip("="), url_safe, url_safe.rstrip("="), wrapped, f" {plain}\n"):
        assert decode_base64(text) == data


@pytest.mark.parametrize("text", ["A", "AAAAA", "AA=A", "=AAA", "A*==", "AAA\x00", "é", "{}", "AA==AA=="])
def test_base64_that_is_none(text: str) -> None:
    with pytest.raises(ValueError):
        decode_base64(text)
