"""What is given as audio and is none: told apart from PCM by its beginning, and refused by name, wherever audio is taken."""

from __future__ import annotations

import base64
import gzip
import io
import json
import math
import os
import pickle
import socket
import struct
import wave
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from relay_sync import InvalidParameter
from relay_sync.audio import read_wav, write_wav
from relay_sync.audio.file_kinds import kind_of, no_samples, undecided
from relay_sync.audio.sources import chunks_of
from relay_sync.audio.user_files import read_file, read_open
from relay_sync.simulator import Simulator
from relay_sync.simulator.http.control import requests as orders
from relay_sync.simulator.media.voice import load_voice


def wav(samples: int = 800, rate: int = 8000, channels: int = 1, value: bytes = b"\1\0") -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(value * samples * channels)
    return out.getvalue()


def frames(head: str, size: int, count: int = 20, seed: int = 1) -> bytes:
    random, start = Random(seed), bytes.fromhex(head)
    return b"".join(start + random.randbytes(size - len(start)) for _ in range(count))


MP3 = frames("fff384c4", 192)  # MPEG-2 layer III, 64 kbit/s, 24 kHz
MP3_44 = frames("fffb9064", 417)  # MPEG-1 layer III, 128 kbit/s, 44.1 kHz
MP2 = frames("fffda404", 576)  # MPEG-1 layer II, 192 kbit/s, 48 kHz
AAC = frames("fff15080" + "1bfffc", 223)  # ADTS, frames of 223 bytes
MP4 = b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom\0\0\0\0" + bytes(64)
ERROR = json.dumps({"error": {"code": 401, "message": "the key is wrong"}}).encode()

KINDS: list[tuple[str, bytes, str]] = [
    ("mp3", MP3, "an MP3 file"),
    ("mp3 44.1", MP3_44, "an MP3 file"),
    ("mp3 of one frame", MP3[:192], "an MP3 file"),
    ("mp3 cut anywhere", MP3[77:], "an MP3 file"),
    ("mp3 with a tag", b"ID3\4\0\0\0\0\0\0" + MP3, "an MP3 file"),
    ("mp2", MP2, "an MP2 file"),
    ("aac", AAC, "an AAC file"),
    ("m4a", MP4, "an MP4 or M4A file"),
    ("ogg", b"OggS\0\2" + bytes(60), "an Ogg file"),
    ("flac", b"fLaC\0\0\0\x22" + bytes(60), "a FLAC file"),
    ("webm", b"\x1aE\xdf\xa3\x9fB\x86\x81\1" + bytes(60), "a WebM or Matroska file"),
    ("aiff", b"FORM\0\0\1\0AIFFCOMM" + bytes(60), "an AIFF file"),
    ("au", b".snd\0\0\0\x18" + bytes(60), "an AU file"),
    ("amr", b"#!AMR\n" + bytes(60), "an AMR file"),
    ("amr-wb", b"#!AMR-WB\n" + bytes(60), "an AMR file"),
    ("rf64", b"RF64\xff\xff\xff\xffWAVEds64" + bytes(60), "an RF64 file"),
    ("gzip", gzip.compress(wav()), "gzip"),
    ("zip", b"PK\3\4\x14\0" + bytes(60), "a ZIP archive"),
    ("json", ERROR, "JSON"),
    ("json of one line a value", b'\n\n  [1, "two"]\n', "JSON"),
    ("html", b"<!DOCTYPE html>\n<title>404</title>" + bytes("äöü", "utf-8"), "HTML"),
    ("ssml", b"<speak>Hello <break/> there</speak>", "XML"),
    ("text", b"Hello, and welcome.", "text"),
    ("text of six letters", b"Hello!", "text"),
    ("text of a far country", "你好，世界。欢迎光临".encode(), "text"),
    ("text with a mark", b"\xef\xbb\xbfHello there", "text"),
    ("utf-16", "Hello there".encode("utf-16"), "text"),
    ("base64 of a wav", base64.b64encode(wav()), "base64 text: decode it first"),
    ("base64 of an mp3", base64.b64encode(MP3), "base64 text: decode it first"),
    ("base64 of pcm", base64.b64encode(Random(3).randbytes(600)), "base64 text: decode it first"),
    ("a data: URL", b"data:audio/wav;base64," + base64.b64encode(wav()), "a data: URL"),
    ("a URL", b"https://media.example/a.wav", "a URL"),
]

MORE: list[tuple[str, bytes, str]] = [
    ("ac-3", frames("0b77f87d0c40", 384), "an AC-3 file"),
    ("e-ac-3", frames("0b7700bf3287", 384), "an E-AC-3 file"),
    ("loas", frames("56e11b2000", 286), "an AAC file"),
    ("transport stream", (b"G\x40\x11\x10\0\x42\xf0" + bytes(181)) * 2, "an MPEG transport stream"),
    ("program stream", b"\0\0\1\xba\x21\0\1" + bytes(60), "an MPEG program stream"),
    ("mp4 without its first box", b"\0\0\1\0mdat" + bytes(64), "an MP4 or M4A file"),
    ("mp4 in fragments", b"\0\0\0\x64moof\0\0\0\x10mfhd" + bytes(64), "an MP4 or M4A file"),
    ("voc", b"Creative Voice File\x1a\x1a\0" + bytes(60), "a VOC file"),
    ("realmedia", b".RMF\0\0\0\x12" + bytes(60), "a RealMedia file"),
    ("opus", b"OpusHead\1\1\x38\1\x80\xbb\0\0\0\0\0", "Opus without its Ogg file"),
    ("another riff", b"RIFF\0\1\0\0QLCMfmt " + bytes(60), "a RIFF file (QLCM)"),
    ("numpy", b"\x93NUMPY\1\0v\0{'descr': '<i2'}" + bytes(60), "a NumPy file"),
    ("pickle", pickle.dumps(Random(4).randbytes(400), 4), "a pickled object of Python"),
    ("tar", b"a.wav".ljust(257, b"\0") + b"ustar\x0000" + bytes(250), "a tar archive"),
    ("utf-16 without a mark", "Please hold, all agents are busy at the moment.".encode("utf-16-le"), "text"),
    ("utf-16, the other order", "Please hold, all agents are busy at the moment.".encode("utf-16-be"), "text"),
    ("utf-32", "Hello there".encode("utf-32"), "text"),
    ("latin-1", "Die T\xfcr ist f\xfcnf Meter breit, sch\xf6n dass Sie da sind".encode("latin-1"), "text"),
    (
        "a head of http",
        b"HTTP/1.1 200 OK\r\nContent-Type: audio/wav\r\nContent-Length: 1644\r\nServer: voices of "
        b"somebody\r\n\r\n" + wav(),
        "text",
    ),
    ("numbers", b"0.5, 0.25, -0.125, 0.75, 1.0, -0.5\n", "text"),
    ("hexadecimal", wav().hex().encode(), "text"),
    ("base64 of silence", base64.b64encode(bytes(160)), "base64 text: decode it first"),
    ("json without a word", b"[0, 1, 2, -3]", "JSON"),
    ("json of two characters", b"{}", "JSON"),
    ("json null", b"null", "JSON"),
]
KINDS += MORE
FLOATS = [math.sin(number / 7) * (0.001 + number / 2000) for number in range(1000)]
UNFIT: list[tuple[str, bytes, str]] = [  # samples, but not these alone, or not such
    *KINDS,
    ("32-bit floats", array("f", FLOATS).tobytes(), "32-bit floating point"),
    ("64-bit floats", array("d", FLOATS).tobytes(), "64-bit floating point"),
    ("pcm and a wav", bytes(640) + wav(), "PCM with a WAV file behind it"),
    ("a wav and line ends before it", b"\r\n" + wav(), "PCM with a WAV file behind it"),
]


def test_files_and_words_are_named() -> None:
    for name, data, kind in KINDS:
        assert kind in str(kind_of(data)), name


def pieces_of(size: int) -> Callable[[bytes], Iterator[bytes]]:
    return lambda data: (data[start : start + size] for start in range(0, len(data), size))


def one_piece(data: bytes) -> Iterator[bytes]:
    yield data


def drained(what: Any) -> bytes:
    taken = chunks_of(what, 8000, None)
    return taken if isinstance(taken, bytes) else b"".join(taken)


@pytest.mark.parametrize("shape", [bytes, bytearray, memoryview, io.BytesIO, one_piece, pieces_of(4000)])
def test_play_refuses_them_by_name(shape: Callable[[bytes], Any]) -> None:
    for name, data, kind in UNFIT:
        with pytest.raises(InvalidParameter, match="looks like") as caught:
            drained(shape(data))
        assert kind in caught.value.message, name


@pytest.mark.parametrize("size", [2, 7, 320])
def test_play_refuses_them_in_small_pieces(size: int) -> None:
    """Of what looks like samples for long, nothing is held back: ordinary audio would be late."""
    late = {
        "mp3 cut anywhere",
        "tar",
        "latin-1",
        "utf-16 without a mark",
        "utf-16, the other order",
        "base64 of silence",
    }
    for name, data, kind in KINDS:
        if name not in late:
            with pytest.raises(InvalidParameter, match="looks like") as caught:
                drained(pieces_of(size)(data))
            assert kind in caught.value.message, name


def test_what_a_phone_says_is_refused_by_name() -> None:
    for name, data, kind in UNFIT:
        with pytest.raises(InvalidParameter, match="says") as caught:
            load_voice(data, "says")
        assert kind in caught.value.message, name


def test_what_is_no_wav_for_the_control_interface_is_refused_by_name() -> None:
    for name, data, kind in KINDS:
        with pytest.raises(InvalidParameter, match="says") as caught:
            orders.bind(orders.CALL, {"to": "1", "from": "2", "says": {"wav": base64.b64encode(data).decode()}})
        assert kind in caught.value.message, name


def test_files_of_another_kind_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "sound"
    for name, data, kind in KINDS:
        path.write_bytes(data)
        for take in (drained, lambda path: load_voice(path, "says")):
            with pytest.raises(InvalidParameter) as caught:
                take(path)
            assert kind in caught.value.message, name


def test_a_path_that_is_no_path_is_named() -> None:
    for text, kind in [
        ("data:audio/wav;base64," + base64.b64encode(wav()).decode(), "a data: URL"),
        ("https://media.example/a.wav", "a URL"),
        (base64.b64encode(wav()).decode(), "base64"),
        (ERROR.decode(), "JSON"),
    ]:
        for take in (drained, lambda text: load_voice(text, "says")):
            with pytest.raises(InvalidParameter) as caught:
                take(text)
            assert f"this is {kind}" in caught.value.message
            assert len(caught.value.message) < 1000
    with pytest.raises(FileNotFoundError):
        drained("greeting.wav")
    with pytest.raises(InvalidParameter):
        drained("a\0b")


def test_a_stream_that_turns_into_an_error_or_a_file_is_refused_there() -> None:
    pcm = bytes(640)
    for late, kind in [(ERROR + b" " * 64, "JSON"), (wav(), "a WAV file"), (MP3, "an MP3 file")]:
        taken = chunks_of([pcm, late, pcm], 8000, None)
        assert not isinstance(taken, bytes)
        assert next(taken) == pcm
        with pytest.raises(InvalidParameter, match=kind):
            next(taken)


# -- what is PCM stays PCM -----------------------------------------------------------------------------------------------


def test_tones_are_pcm() -> None:
    random = Random(5)
    for _ in range(300):
        rate, volume = random.choice([8000, 16000, 24000, 48000]), random.randint(1, 32767)
        step, phase = math.tau * random.choice([random.uniform(50, 4000), 440, 1000, 2000]) / rate, random.random()
        tone = array("h", (int(volume * math.sin(phase + step * number)) for number in range(1500))).tobytes()
        assert no_samples(tone) is None
        assert no_samples(tone[:320]) is None


def test_tones_whose_frequency_divides_the_rate_are_pcm() -> None:
    """Their samples repeat, so bytes that look like a head are found again and again."""
    random = Random(8)
    for period in (2, 3, 4, 6, 8):
        for volume in (16000, 16320, 16384, 20000):
            for phase in (0.0, 0.5, 1.0, math.pi / 4, math.pi / 2):
                for noise in (0, 1, 10):
                    tone = [
                        int(volume * math.sin(math.tau * number / period + phase)) + random.randint(-noise, noise)
                        for number in range(1200)
                    ]
                    assert no_samples(array("h", tone).tobytes()) is None, (period, volume, phase, noise)


def test_loud_signals_with_a_steady_part_are_no_floats_and_no_words() -> None:
    random = Random(9)
    for level in (70, 100, -100, 1000, 16000, 16200, -16600):
        for loud in (1, 5, 20, 100):
            pcm = array("h", (level + random.randint(-loud, loud) for _ in range(1500))).tobytes()
            assert no_samples(pcm) is None, (level, loud)


def test_noise_and_steady_values_are_pcm() -> None:
    random = Random(6)
    for number in range(300):
        loud = random.choice([3, 100, 5000, 32767])
        assert no_samples(array("h", (random.randint(-loud, loud) for _ in range(2500))).tobytes()) is None
        assert no_samples(random.randbytes(number * 2 + 64)) is None
    for value in range(-32768, 32768, 7):
        assert no_samples(struct.pack("<h", value) * 80) is None
    assert no_samples(b"") is None
    assert no_samples(bytes(10_000)) is None


def test_the_first_piece_of_ordinary_audio_is_not_held_back() -> None:
    pulled = []

    def source() -> Iterator[bytes]:
        for _ in range(3):
            pulled.append(1)
            yield b"\x10\0\xf0\xff" * 80

    taken = chunks_of(source(), 8000, None)
    assert not isinstance(taken, bytes)
    next(taken)
    assert len(pulled) == 1
    assert not undecided(b"\xff\xff" * 20)  # a whisper


def test_short_pcm_in_tiny_pieces_is_played() -> None:
    assert drained([b"\1", b"\0\2", b"\0"]) == b"\1\0\2\0"
    assert drained([]) == b""


# -- WAVs ----------------------------------------------------------------------------------------------------------------


def riff(*chunks: tuple[bytes, bytes], size: int | None = None) -> bytes:
    body = b"".join(tag + struct.pack("<I", len(data)) + data + bytes(len(data) & 1) for tag, data in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body) if size is None else size) + b"WAVE" + body


def form(tag: int = 1, bits: int = 16, rate: int = 8000, channels: int = 1) -> tuple[bytes, bytes]:
    width = channels * bits // 8
    return b"fmt ", struct.pack("<HHIIHH", tag, channels, rate, rate * width, width, bits)


def streamed(data: bytes, size: int) -> bytes:
    """A WAV whose writer did not know its length."""
    return data.replace(b"data" + struct.pack("<I", len(data) - 44), b"data" + struct.pack("<I", size))


@pytest.mark.parametrize("size", [None, 0, 0xFFFFFFFF, 0x7FFFFFFF], ids=["right", "0", "4 GiB", "2 GiB"])
@pytest.mark.parametrize("count", [2, 3])
def test_wavs_one_behind_the_other_are_all_heard(size: int | None, count: int) -> None:
    one, other = wav(800), wav(401, value=b"\3\0")
    if size is not None:
        one, other = streamed(one, size), streamed(other, size)
    data = one + other * (count - 1)
    expected = b"\1\0" * 800 + b"\3\0" * 401 * (count - 1)
    assert drained(data) == expected
    assert load_voice(data, "says").pcm == expected
    assert read_wav(io.BytesIO(data)).pcm == expected


def test_wavs_of_odd_length_one_behind_the_other() -> None:
    eight = riff(form(bits=8), (b"data", b"\x80" * 3))
    assert read_wav(io.BytesIO(eight * 2)).samples == 6
    assert read_wav(io.BytesIO(eight[:-1] + eight)).samples == 6  # not filled up to an even number


@pytest.mark.parametrize("other", [wav(rate=16000), wav(channels=2)], ids=["rate", "channels"])
def test_wavs_that_do_not_go_together_are_refused(other: bytes) -> None:
    with pytest.raises(InvalidParameter, match="differ"):
        drained(wav() + other)


@pytest.mark.parametrize(
    ("behind", "kind"), [(MP3, "an MP3 file"), (b"OggS" + bytes(60), "an Ogg file"), (ERROR, "JSON")]
)
def test_another_file_behind_a_wav_is_refused(behind: bytes, kind: str) -> None:
    with pytest.raises(InvalidParameter, match=f"its audio is followed by {kind}"):
        drained(wav() + behind)


@pytest.mark.parametrize(
    ("chunks", "samples"),
    [
        ([form(), (b"data", b"\1\0" * 5), (b"LIST", b"INFOIART\4\0\0\0Ann\0")], 5),
        ([(b"JUNK", bytes(28)), form(), (b"fact", b"\5\0\0\0"), (b"data", b"\1\0" * 5)], 5),
        ([form(), (b"data", b""), (b"LIST", b"INFOIART\4\0\0\0Ann\0")], 0),
        ([form(), (b"data", b"\1\0" * 5), (b"data", b"\2\0" * 5)], 10),
        ([form(), (b"data", b"\1\0" * 5), (b"id3 ", b"ID3\4\0\0\0\0\0\0")], 5),
    ],
    ids=["list behind", "chunks before", "no audio but a list", "two pieces", "id3 behind"],
)
def test_chunks_around_the_audio_are_not_heard(chunks: list[tuple[bytes, bytes]], samples: int) -> None:
    assert read_wav(io.BytesIO(riff(*chunks))).samples == samples


def test_a_wav_that_was_cut_off_is_played_as_far_as_it_goes() -> None:
    for end in range(46, 1644, 97):
        assert drained(wav()[:end]) == (b"\1\0" * 800)[: (end - 44) // 2 * 2]


@pytest.mark.parametrize(
    ("tag", "bits", "name"),
    [
        (1, 24, "24-bit PCM"),
        (1, 32, "32-bit PCM"),
        (3, 32, "32-bit floating point"),
        (3, 64, "64-bit floating point"),
        (2, 4, "Microsoft ADPCM"),
        (0x11, 4, "IMA ADPCM"),
        (0x31, 0, "GSM 6.10"),
        (0x55, 0, "MP3"),
        (0x1234, 16, "format 0x1234"),
    ],
)
def test_formats_inside_a_wav_are_named(tag: int, bits: int, name: str) -> None:
    with pytest.raises(InvalidParameter, match=f"not {name}"):
        drained(riff(form(tag, bits), (b"data", bytes(24))))


@pytest.mark.parametrize(("tag", "silence"), [(6, b"\xd5"), (7, b"\xff")], ids=["A-law", "mu-law"])
def test_g711_inside_a_wav_is_played(tag: int, silence: bytes) -> None:
    samples = array("h", drained(riff(form(tag, 8), (b"data", silence * 80))))
    assert len(samples) == 80
    assert max(map(abs, samples)) <= 8


# -- files ---------------------------------------------------------------------------------------------------------------


def takers() -> list[Callable[[Path], object]]:
    with_sim = Simulator()  # not started: what it is told is checked before anything happens

    def says(path: Path) -> object:
        return with_sim.call(to="+15550100", from_="+15550199", says=path)

    def hears(path: Path) -> object:
        return with_sim.call(to="+15550100", from_="+15550199", hears=path)

    return [drained, read_wav, read_file, says, hears, lambda path: with_sim.expect_sound("https://x.test/a", path)]


def special(tmp_path: Path) -> list[tuple[Path, str]]:
    pipe, folder, address = tmp_path / "pipe", tmp_path / "folder", tmp_path / "s"
    os.mkfifo(pipe)
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
    link = tmp_path / "link"
    link.symlink_to(pipe)
    return [
        (pipe, "a pipe"),
        (link, "a pipe"),
        (folder, "a folder"),
        (address, "a socket"),
        (Path("/dev/zero"), "a device"),
    ]


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    for path, kind in special(tmp_path):
        for take in takers():
            with pytest.raises(ValueError, match=f"{kind}, not a regular file"):
                take(path)


def test_a_file_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse.wav"
    write_wav(path, bytes(16), 8000)
    os.truncate(path, 3 * 2**30)
    for take in takers():
        with pytest.raises(ValueError, match=r"more than [0-9]+ MiB"):
            take(path)


def test_an_open_file_that_is_too_long_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            return len(buffer)

    monkeypatch.setattr(read_open, "__defaults__", (2**20,))
    path = tmp_path / "sparse.wav"
    write_wav(path, bytes(16), 8000)
    os.truncate(path, 3 * 2**30)
    for endless in (Endless(), io.BufferedReader(Endless())):
        with pytest.raises(InvalidParameter, match="the file has more than 1 MiB"):
            drained(endless)
    with path.open("rb") as file, pytest.raises(InvalidParameter, match="the file has more than 1 MiB"):
        drained(file)
    with path.open("rb") as file, pytest.raises(ValueError, match="the file has more than 2 MiB"):
        read_wav(file, most=2**21)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="files that are longer than they say are Linux's")
def test_a_file_that_is_longer_than_it_says_is_read_up_to_the_bound() -> None:
    assert os.stat("/proc/self/smaps").st_size == 0
    with pytest.raises(ValueError, match=r"more than 0\.00"):
        read_file("/proc/self/smaps", 4096)
    assert read_file("/proc/self/status")


def test_a_file_that_becomes_a_pipe_between_look_and_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, real = tmp_path / "a.wav", os.stat
    path.write_bytes(wav())

    def swapped(name: Any) -> os.stat_result:
        found = real(name)
        if name == path:
            path.unlink()
            os.mkfifo(path)
        return found

    monkeypatch.setattr(os, "stat", swapped)
    with pytest.raises(ValueError, match="a pipe, not a regular file"):
        read_file(path)


def test_a_regular_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(wav(2**20))
    assert read_file(path) == path.read_bytes()
    assert read_file(str(path), path.stat().st_size) == path.read_bytes()
