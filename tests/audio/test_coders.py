"""Decoders and encoders of every codec with one face: what goes in comes out, and rubbish harms nothing."""

from __future__ import annotations

import math
import struct
import subprocess
import sys
from array import array
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay_sync import InvalidParameter, UnsupportedCodec
from relay_sync.audio import BadPacket, Decoder, Encoder, codec_for, decoder_for, encoder_for
from relay_sync.audio.messages import MediaFormat
from relay_sync.audio.stream_decoder import StreamDecoder

NAMES = ["PCMU", "PCMA", "L16@8000h", "L16@16000h", "L16@24000h", "G722", "OPUS"]
every_codec = pytest.mark.parametrize("name", NAMES)
packet_codecs = pytest.mark.parametrize("name", ["G722", "OPUS"])


def tone(rate: int, samples: int, hertz: float = 440.0, height: int = 8000) -> bytes:
    step = 2 * math.pi * hertz / rate
    return struct.pack(f"<{samples}h", *(round(height * math.sin(step * index)) for index in range(samples)))


def snr(wanted: bytes, got: bytes, most_delay: int) -> tuple[float, int]:
    """Signal to noise in dB of one piece of sound within another, and the delay at which it is best."""
    signal, whole = array("h", wanted), array("h", got)
    best = (-math.inf, 0)
    power = sum(value * value for value in signal)
    for delay in range(most_delay + 1):
        noise = sum((a - b) ** 2 for a, b in zip(signal, whole[delay : delay + len(signal)], strict=True))
        best = max(best, (10 * math.log10(power / noise) if noise else math.inf, delay))
    return best


def decode_all(decoder: Decoder, packets: list[bytes]) -> bytes:
    return b"".join(map(decoder.decode, packets))


# -- what goes in comes out --------------------------------------------------------------------------------------------


@every_codec
def test_one_packet_of_the_same_time_for_each_interval(name: str) -> None:
    encoder, decoder = encoder_for(name), decoder_for(name)
    assert (encoder.ptime, encoder.samples) == (20, encoder.sample_rate // 50)
    pcm = tone(encoder.sample_rate, encoder.samples)
    for _ in range(10):
        (packet,) = encoder.encode(pcm)
        assert len(decoder.decode(packet)) == decoder.sample_rate // 50 * 2


@pytest.mark.parametrize("name", NAMES[:5])
def test_what_keeps_no_state_is_the_codec(name: str) -> None:
    encoder, decoder, codec = encoder_for(name), decoder_for(name), codec_for(name)
    pcm = tone(encoder.sample_rate, encoder.samples * 3)
    packets = encoder.encode(pcm)
    assert b"".join(packets) == codec.encode(pcm)
    assert decode_all(decoder, packets) == codec.decode(codec.encode(pcm))
    assert not encoder.stateful
    assert not decoder.stateful
    assert decoder.decode(b"") == b""


@given(st.lists(st.integers(0, 1500), max_size=12), st.sampled_from(["PCMU", "L16@16000h@10i", "G722@40i"]))
@settings(max_examples=30, derandomize=True, deadline=None)
def test_pieces_of_any_length_make_the_same_packets(lengths: list[int], name: str) -> None:
    pcm = tone(16000, sum(lengths))
    in_pieces, at_once = encoder_for(name), encoder_for(name)
    packets, start = [], 0
    for length in lengths:
        packets += in_pieces.encode(pcm[2 * start : 2 * (start + length)])
        start += length
    packets += in_pieces.flush()
    assert packets == at_once.encode(pcm) + at_once.flush()
    assert len(packets) * at_once.samples >= len(pcm) // 2


@pytest.mark.parametrize(
    ("name", "rate", "least", "most_delay"),
    [("G722", 16000, 25.0, 30), ("OPUS", 48000, 14.0, 400)],
)
def test_lossy_codecs_keep_the_sound(name: str, rate: int, least: float, most_delay: int) -> None:
    encoder, decoder = encoder_for(name), decoder_for(name)
    pcm = tone(rate, rate // 2)
    got = decode_all(decoder, encoder.encode(pcm) + encoder.flush())
    skip = rate // 5  # the first moments, in which they adapt
    assert snr(pcm[2 * skip : 4 * skip], got[2 * skip :], most_delay)[0] > least


@pytest.mark.parametrize("rate", [8000, 12000, 16000, 24000, 48000])
def test_opus_takes_every_rate_it_has_and_gives_48000(rate: int) -> None:
    encoder, decoder = encoder_for("OPUS", rate), decoder_for("OPUS", rate)
    assert (encoder.sample_rate, decoder.sample_rate) == (rate, 48000)
    assert len(decode_all(decoder, encoder.encode(tone(rate, rate // 5)))) == 48000 // 5 * 2


@pytest.mark.parametrize("ptime", [5, 10, 20, 40, 60, 80, 100, 120])
def test_opus_intervals(ptime: int) -> None:
    encoder, decoder = encoder_for(f"OPUS@{ptime}i"), decoder_for("OPUS")
    packets = encoder.encode(tone(48000, 48 * ptime * 3))
    assert [len(decoder.decode(packet)) for packet in packets] == [96 * ptime] * 3


@packet_codecs
def test_flushing_lets_go_of_the_last_sound_and_only_once(name: str) -> None:
    encoder, decoder = encoder_for(name), decoder_for(name)
    assert encoder.flush() == []
    rate = encoder.sample_rate
    pcm = tone(rate, encoder.samples * 5)
    got = array("h", decode_all(decoder, encoder.encode(pcm) + encoder.flush()))
    assert max(map(abs, got[len(pcm) // 2 :])) > 1000  # what the codec held back
    assert encoder.flush() == []
    assert len(encoder.encode(pcm)) == 5  # it goes on


def test_flushing_fills_up_with_silence() -> None:
    encoder = encoder_for("PCMU")
    assert encoder.encode(bytes(100)) == []
    assert encoder.flush() == [b"\xff" * 160]
    assert encoder.flush() == []


# -- what arrives in life ----------------------------------------------------------------------------------------------


@packet_codecs
def test_an_empty_payload_is_a_bad_packet_and_harms_nothing(name: str) -> None:
    encoder, decoder, other = encoder_for(name), decoder_for(name), decoder_for(name)
    packets = encoder.encode(tone(encoder.sample_rate, encoder.samples * 6))
    for packet in packets:
        with pytest.raises(BadPacket):
            decoder.decode(b"")
        assert decoder.decode(packet) == other.decode(packet)


def test_rubbish_is_a_bad_packet_and_opus_goes_on() -> None:
    encoder, decoder = encoder_for("OPUS"), decoder_for("OPUS")
    packets = encoder.encode(tone(48000, 960 * 40))
    for packet in packets[:20]:
        decoder.decode(packet)
    for rubbish in (b"\xff\xff\xff\xff", b"\xff" * 160, b"\x03", bytes(range(255, 0, -1)), packets[3] * 30):
        with pytest.raises(BadPacket):
            decoder.decode(rubbish)
    got = decode_all(decoder, packets[20:])
    assert len(got) == 20 * 960 * 2
    assert max(map(abs, array("h", got[-1920:]))) > 6000


@given(st.lists(st.binary(max_size=300), max_size=20))
@settings(max_examples=30, derandomize=True, deadline=None)
def test_whatever_comes_the_next_good_packet_is_heard(payloads: list[bytes]) -> None:
    for name in ("G722", "OPUS"):
        encoder, decoder = encoder_for(name), decoder_for(name)
        for payload in payloads:
            try:
                assert len(decoder.decode(payload)) % 2 == 0
            except BadPacket:
                pass
        got = decode_all(decoder, encoder.encode(tone(encoder.sample_rate, encoder.samples * 30)))
        assert max(map(abs, array("h", got[-640:]))) > 6000


@pytest.mark.parametrize("code", [0x08, 0xF8, 0x00, 0x80])
def test_one_byte_of_opus_is_silence_that_was_not_sent(code: int) -> None:
    encoder, decoder = encoder_for("OPUS"), decoder_for("OPUS")
    for packet in encoder.encode(tone(48000, 960 * 5)):
        decoder.decode(packet)
    assert len(decoder.decode(bytes([code]))) > 0


def test_stereo_opus_is_mixed_to_one_channel() -> None:
    import av

    context = av.CodecContext.create("libopus", "w")
    context.sample_rate, context.format, context.layout = 48000, av.AudioFormat("s16"), "stereo"
    frame = av.AudioFrame(format="s16", layout="stereo", samples=960)
    frame.sample_rate, frame.pts = 48000, 0
    mono = tone(48000, 960)
    frame.planes[0].update(b"".join(mono[index : index + 2] * 2 for index in range(0, len(mono), 2)))
    (packet,) = context.encode(frame)
    got = decoder_for("opus/48000/2").decode(bytes(packet))
    assert len(got) == 1920
    assert max(map(abs, array("h", got))) > 4000


@packet_codecs
def test_decoders_do_not_disturb_each_other(name: str) -> None:
    """Two tracks, turn and turn about, are heard as each by itself."""
    packets = [encoder.encode(tone(encoder.sample_rate, encoder.samples * 10, pitch)) for encoder, pitch in _pair(name)]
    alone = [decode_all(decoder_for(name), each) for each in packets]
    first, second = decoder_for(name), decoder_for(name)
    together = [b"", b""]
    for one, two in zip(*packets, strict=True):
        together[0] += first.decode(one)
        together[1] += second.decode(two)
    assert together == alone


def _pair(name: str) -> Iterator[tuple[Encoder, float]]:
    for pitch in (440.0, 1000.0):
        yield encoder_for(name), pitch


def test_nothing_is_written_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    decoder = decoder_for("OPUS")
    for rubbish in (b"\xff" * 4, b"\xff" * 160):
        with pytest.raises(BadPacket):
            decoder.decode(rubbish)
    assert capfd.readouterr() == ("", "")


# -- names, and what they cannot be ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "given", "name", "rate"),
    [
        ("audio/x-mulaw", 8000, "PCMU", 8000),
        ("audio/x-L16", 24000, "L16", 24000),
        ("audio/G722", 8000, "G722", 16000),
        ("G722/8000", None, "G722", 16000),
        ("g.722@20i", None, "G722", 16000),
        ("audio/opus", 48000, "OPUS", 48000),
        ("opus", 16000, "OPUS", 48000),
        ("OPUS@48000h@20i", None, "OPUS", 48000),
        ("audio/opus;rate=48000;channels=2", None, "OPUS", 48000),
        ("opus/48000/2", None, "OPUS", 48000),
        ("PCMA/8000/1", None, "PCMA", 8000),
    ],
)
def test_names_a_decoder_is_found_for(text: str, given: int | None, name: str, rate: int) -> None:
    decoder = decoder_for(text, given)
    assert (decoder.name, decoder.sample_rate) == (name, rate)


@pytest.mark.parametrize("text", ["AMR-WB", "audio/speex", "L16@2c", "G722@2c", "opus/48000/3", "L16/16000/2"])
def test_what_cannot_be_decoded(text: str) -> None:
    with pytest.raises(UnsupportedCodec):
        decoder_for(text)
    with pytest.raises(UnsupportedCodec):
        encoder_for(text)


@pytest.mark.parametrize(
    ("text", "options", "parameter"),
    [
        ("OPUS@44100h", {}, "sample_rate"),
        ("G722@48000h", {}, "sample_rate"),
        ("OPUS@30i", {}, "ptime"),
        ("G722@10i", {}, "ptime"),
        ("G722@220i", {}, "ptime"),
        ("PCMU@1i", {}, "ptime"),
        ("PCMU@201i", {}, "ptime"),
        ("L16@22050h@5i", {}, "ptime"),
        ("OPUS", {"bit_rate": 5999}, "bit_rate"),
        ("OPUS@", {}, "codec"),
    ],
)
def test_what_cannot_be_encoded(text: str, options: dict[str, int], parameter: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        encoder_for(text, **options)  # type: ignore[arg-type]
    assert caught.value.parameter == parameter


def test_half_a_sample_is_refused_before_anything_is_kept() -> None:
    encoder = encoder_for("PCMU")
    with pytest.raises(InvalidParameter, match="pcm"):
        encoder.encode(b"x")
    assert encoder.flush() == []


def test_without_the_extra_the_error_names_it_and_the_rest_works() -> None:
    """And ``av`` is not imported before it is needed."""
    code = """
import sys
import relay_sync.audio, relay_sync.audio.coders as coders
assert "av" not in sys.modules and "numpy" not in sys.modules
sys.modules["av"] = None  # an import of it fails
from relay_sync import UnsupportedCodec
for name in ("PCMU", "PCMA", "L16"):
    coders.check_available(name)
    assert coders.decoder_for(name).decode(coders.encoder_for(name).encode(bytes(640))[0])
for make in (coders.decoder_for, coders.encoder_for, coders.check_available):
    for name in ("OPUS", "audio/G722"):
        try:
            make(name)
        except UnsupportedCodec as error:
            print(error)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == [
        'OPUS needs the av package: pip install "av>=13"',
        'G722 needs the av package: pip install "av>=13"',
    ]
    assert done.stdout.count("\n") == 6


@pytest.mark.parametrize("rate", [1, 3999, 999_999])
@pytest.mark.parametrize("given", [0, 8000])
def test_a_rate_that_no_call_has_is_not_believed_wherever_it_was_said(rate: int, given: int) -> None:
    for name, usual in (("audio/L16;rate={}", 8000), ("L16@{}h", 8000), ("audio/x-mulaw;rate={}", 8000)):
        decoding = StreamDecoder(MediaFormat(name.format(rate), given), "little", print)
        assert (decoding.decodable, decoding.sample_rate) == (True, usual)
    assert StreamDecoder(MediaFormat("audio/L16;rate=16000", 0), "little", print).sample_rate == 16000
    assert StreamDecoder(MediaFormat("audio/L16", rate), "little", print).sample_rate == 8000
