"""WAV files read and written, and recordings that are valid while they grow."""

from __future__ import annotations

import io
import os
import random
import re
import signal
import struct
import subprocess
import sys
import threading
import wave
from array import array
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_sync.audio import WavAudio, draw_waveform, read_wav, write_wav
from relay_sync.audio.disk import Disk
from relay_sync.audio.pcm_codecs import codec_for
from relay_sync.audio.picture import peaks_of, svg_waveform
from relay_sync.audio.recorder import Recorder
from relay_sync.audio.recording_files import spool_file
from relay_sync.audio.wav import interleave, wav_header
from tests.support import PATIENCE


def _pcm(*samples: int) -> bytes:
    return struct.pack(f"<{len(samples)}h", *samples)


def _open(path: Path) -> BinaryIO:
    return open(path, "x+b", buffering=0)


def _by_stdlib(path: Path) -> tuple[int, int, int, bytes]:
    with wave.open(str(path)) as file:
        assert file.getsampwidth() == 2
        return file.getnchannels(), file.getframerate(), file.getnframes(), file.readframes(file.getnframes())


# -- reading and writing -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_what_is_written_is_read_by_us_and_by_the_standard_library(tmp_path: Path, channels: int) -> None:
    pcm = _pcm(*range(-6, 6))
    write_wav(tmp_path / "x.wav", pcm, 16000, channels)
    assert _by_stdlib(tmp_path / "x.wav") == (channels, 16000, 12 // channels, pcm)
    audio = read_wav(tmp_path / "x.wav")
    assert (audio.pcm, audio.sample_rate, audio.channels, audio.samples) == (pcm, 16000, channels, 12 // channels)
    assert audio.duration == 12 / channels / 16000
    assert audio.channel(channels - 1) == _pcm(*range(-6, 6)[channels - 1 :: channels])
    with pytest.raises(IndexError):
        audio.channel(channels)


def test_interleaving_fills_up_with_silence() -> None:
    assert interleave([_pcm(1, 2, 3), _pcm(-1)]) == _pcm(1, -1, 2, 0, 3, 0)
    assert interleave([_pcm(1)]) == _pcm(1)
    assert interleave([b"", b""]) == b""


def _riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1) for kind, data in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def _format(tag: int, channels: int, rate: int, bits: int) -> tuple[bytes, bytes]:
    width = channels * bits // 8
    return b"fmt ", struct.pack("<HHIIHH", tag, channels, rate, rate * width, width, bits)


def test_eight_bits_g711_and_odd_chunks_between() -> None:
    eight = read_wav(io.BytesIO(_riff((b"LIST", b"odd"), _format(1, 1, 8000, 8), (b"data", bytes([0, 128, 255])))))
    assert eight.pcm == _pcm(-32768, 0, 32512)
    mulaw = read_wav(io.BytesIO(_riff(_format(7, 2, 8000, 8), (b"fact", b"\0" * 4), (b"data", b"\x00\xff\x80"))))
    assert mulaw.pcm == codec_for("PCMU").decode(b"\x00\xff")  # a frame that lacks a channel is left out
    alaw = read_wav(io.BytesIO(_riff(_format(6, 1, 8000, 8), (b"data", b"\xd5"))))
    assert alaw.pcm == _pcm(8)
    kind, shape = _format(0xFFFE, 1, 8000, 16)
    extensible = (kind, shape + struct.pack("<HHIH", 22, 16, 4, 1) + b"\0" * 14)
    assert read_wav(io.BytesIO(_riff(extensible, (b"data", _pcm(5))))).pcm == _pcm(5)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 1000])
def test_sizes_that_were_never_filled_in(size: int) -> None:
    data = _riff(_format(1, 1, 8000, 16), (b"data", b""))[:-4] + struct.pack("<I", size) + _pcm(1, 2) + b"\x07"
    assert read_wav(io.BytesIO(data)).pcm == _pcm(1, 2)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF",
        b"OggS" + b"\0" * 40,
        _riff(),
        _riff((b"data", b"\0\0")),
        _riff((b"fmt ", b"short"), (b"data", b"")),
        _riff(_format(1, 0, 8000, 16), (b"data", b"")),
        _riff(_format(1, 1, 0, 16), (b"data", b"")),
        _riff(_format(1, 1, 8000, 24), (b"data", b"\0\0\0")),
        _riff(_format(3, 1, 8000, 32), (b"data", b"\0\0\0\0")),
    ],
)
def test_files_that_cannot_be_read_say_why(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_bytes(data)
    with pytest.raises(ValueError, match=r"x\.wav"):
        read_wav(tmp_path / "x.wav")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_wav_or_a_value_error(noise: bytes) -> None:
    for data in (noise, b"RIFF\0\0\0\0WAVE" + noise, _riff(_format(1, 1, 8000, 16)) + noise):
        try:
            assert len(read_wav(io.BytesIO(data)).pcm) <= len(data)
        except ValueError:
            continue


# -- recordings --------------------------------------------------------------------------------------------------------


def test_a_mono_recording_with_a_hole_and_a_late_frame(tmp_path: Path) -> None:
    recorder = Recorder(_open(tmp_path / "x.wav"), 8000, 1)
    recorder.add(0, 0, _pcm(1, 2))
    recorder.add(0, 6, _pcm(7, 8))
    recorder.flush()
    recorder.add(0, 2, _pcm(3, 4))  # the file has been written past it
    recorder.add(0, 7, _pcm(88, 9))  # half before, half behind what was written
    recorder.close()
    assert read_wav(tmp_path / "x.wav").pcm == _pcm(1, 2, 3, 4, 0, 0, 7, 88, 9)


def test_a_stereo_recording_keeps_the_tracks_apart(tmp_path: Path) -> None:
    recorder = Recorder(_open(tmp_path / "x.wav"), 8000, 2)
    recorder.add(0, 0, _pcm(1, 2))
    recorder.flush()
    recorder.add(1, 0, _pcm(-1, -2, -3))
    recorder.close()
    assert read_wav(tmp_path / "x.wav").pcm == _pcm(1, -1, 2, -2, 0, -3)


@given(
    st.integers(1, 2),
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 30_000), st.integers(1, 300), st.booleans()), max_size=20),
)
def test_any_order_of_frames_and_flushes(channels: int, steps: list[tuple[int, int, int, bool]]) -> None:
    recorder = Recorder(spool_file(), 8000, channels)
    expected = [array("h") for _ in range(channels)]
    for number, (channel, position, samples, flush) in enumerate(steps, 1):
        channel %= channels
        recorder.add(channel, position, _pcm(*[number] * samples))
        track = expected[channel]
        track.extend([0] * (position + samples - len(track)))
        track[position : position + samples] = array("h", [number] * samples)
        if flush:
            recorder.flush()
    out = io.BytesIO()
    recorder.flush()
    out.write(recorder._read(0, 10**7))
    out.seek(0)
    if not steps:
        assert out.getvalue() == wav_header(8000, channels, 0)
    else:
        assert read_wav(out).pcm == interleave([track.tobytes() for track in expected])
    recorder.close()


def _written(recorder: Recorder) -> tuple[int, int]:
    """What is in the file: samples of each channel, and channels."""
    snapshot = recorder.snapshot()
    assert snapshot is not None
    with snapshot:
        return snapshot.samples, snapshot.channels


_steps = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 30_000), st.integers(1, 300), st.booleans()), max_size=8)


@given(_steps, st.integers(0, 1), _steps)
def test_a_mono_recording_can_become_a_stereo_one(
    before: list[tuple[int, int, int, bool]], side: int, behind: list[tuple[int, int, int, bool]]
) -> None:
    recorder = Recorder(spool_file(), 8000, 1)
    expected = [array("h"), array("h")]

    def add(steps: list[tuple[int, int, int, bool]], stereo: bool) -> None:
        for channel, position, samples, flush in steps:
            track = expected[channel if stereo else side]
            number = len(track) % 1000 + position % 7 + 1
            recorder.add(channel if stereo else 0, position, _pcm(*[number] * samples))
            track.extend([0] * (position + samples - len(track)))
            track[position : position + samples] = array("h", [number] * samples)
            if flush:
                recorder.flush()

    add(before, False)
    recorder.widen(side)
    recorder.widen(1 - side)  # it is one already
    add(behind, True)
    recorder.flush()
    out = io.BytesIO(recorder._read(0, 10**7))
    if before or behind:
        samples, channels = _written(recorder)
        saved = read_wav(out)
        assert (saved.samples, saved.channels) == (samples, channels)
        if channels == 2:
            assert saved.pcm == interleave([track.tobytes() for track in expected])
        else:  # nothing came after that would have to be written
            assert not behind
            assert saved.pcm == expected[side].tobytes()
    recorder.close()


@pytest.mark.traced
def test_a_long_silence_takes_no_memory_and_no_disk(tmp_path: Path) -> None:
    recorder = Recorder(_open(tmp_path / "x.wav"), 8000, 2)
    recorder.add(0, 0, _pcm(1))
    recorder.add(0, 8000 * 3600, _pcm(2))
    assert len(recorder._tail) < 100
    recorder.close()
    audio = read_wav(tmp_path / "x.wav")
    assert audio.samples == 8000 * 3600 + 1
    assert os.stat(tmp_path / "x.wav").st_blocks * 512 < 1_000_000


def test_the_header_is_right_after_every_write(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    recorder = Recorder(_open(path), 8000, 1)
    assert _by_stdlib(path)[2] == 0
    for number in range(1, 6):
        recorder.add(0, (number - 1) * 100, _pcm(*[number] * 100))
        recorder.flush()
        assert _by_stdlib(path)[2] == number * 100
        assert path.stat().st_size == 44 + number * 200
    recorder.close()


def test_copying_while_it_grows(tmp_path: Path) -> None:
    recorder = Recorder(spool_file(), 8000, 1)
    recorder.add(0, 0, _pcm(1, 2))
    recorder.copy_to(tmp_path / "a.wav")
    recorder.add(0, 2, _pcm(3))
    recorder.copy_to(tmp_path / "a.wav")
    assert _by_stdlib(tmp_path / "a.wav") == (1, 8000, 3, _pcm(1, 2, 3))
    assert os.listdir(tmp_path) == ["a.wav"]
    with pytest.raises(FileNotFoundError):
        recorder.copy_to(tmp_path / "nowhere" / "a.wav")
    (tmp_path / "link.wav").symlink_to(tmp_path / "a.wav")
    recorder.copy_to(tmp_path / "link.wav")
    assert (tmp_path / "link.wav").is_symlink()
    recorder.close()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    recorder = Recorder(spool_file(), 8000, 1)
    recorder.add(0, 0, _pcm(1, 2))
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit((tmp_path / "pipe").read_bytes)
        recorder.copy_to(tmp_path / "pipe")
        assert read.result(PATIENCE) == wav_header(8000, 1, 4) + _pcm(1, 2)
    assert (tmp_path / "pipe").is_fifo()
    recorder.close()


def test_a_disk_that_takes_nothing_ends_the_recording_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    room = threading.Event()
    recorder = Recorder(spool_file(), 8000, 1, room.set)
    (tmp_path / "x.wav").touch()
    recorder._file = open(tmp_path / "x.wav", "rb", buffering=0)  # noqa: SIM115 - every write fails
    position = 0
    while not recorder.add(0, position, bytes(2**20)):
        position += 2**19
    assert position * 2 < 2**24
    recorder.flush()
    assert room.is_set()
    assert isinstance(recorder.error, OSError)
    assert not recorder.add(0, 0, bytes(100))
    recorder.flush()
    assert caplog.text.count("recording stopped") == 1
    with pytest.raises(OSError, match="incomplete"):
        recorder.copy_to("never.wav")
    recorder._file.close()
    recorder.close()


def test_no_wav_is_longer_than_a_wav_can_be(caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder(spool_file(), 8000, 2)
    recorder.add(0, 0, _pcm(1))
    recorder.add(0, 2**30, _pcm(2))
    assert "4 GiB" in caplog.text
    recorder.close()


def test_the_disk_thread_writes_and_leaves(tmp_path: Path) -> None:
    disk = Disk("relay-test-disk")
    recorders = [Recorder(_open(tmp_path / f"{n}.wav"), 8000, 1) for n in range(3)]
    for recorder in recorders:
        disk.add(recorder)
        recorder.add(0, 0, _pcm(5, 6))
    assert [thread.name for thread in threading.enumerate()].count("relay-test-disk") == 1
    for recorder in recorders:
        disk.finish(recorder)
    disk.join(PATIENCE)
    assert "relay-test-disk" not in [thread.name for thread in threading.enumerate()]
    for number in range(3):
        assert _by_stdlib(tmp_path / f"{number}.wav")[3] == _pcm(5, 6)
    again = Recorder(spool_file(), 8000, 1)
    disk.add(again)  # it comes back when it is needed
    disk.finish(again)
    disk.join(PATIENCE)
    for recorder in (*recorders, again):
        recorder.close()


_VICTIM = """
import sys, time
from relay_sync.audio.picture import peaks_of, svg_waveform
from relay_sync.audio.disk import Disk
from relay_sync.audio.recorder import Recorder
recorder = Recorder(open(sys.argv[1], "x+b", buffering=0), 8000, 1)
disk = Disk("disk")
disk.add(recorder)
began = time.monotonic()
for number in range(10**6):
    recorder.add(0, number * 160, bytes([number % 250 + 1]) * 320)
    if number == 100:
        print("two seconds of audio are in", flush=True)
    time.sleep(max(0, began + (number - 100) * 0.02 - time.monotonic()))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
def test_kill_nine_leaves_all_but_the_last_second(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    with subprocess.Popen([sys.executable, "-c", _VICTIM, str(path)], stdout=subprocess.PIPE) as victim:
        assert victim.stdout is not None
        assert victim.stdout.readline()
        while _by_stdlib(path)[2] < 8000:
            pass
        victim.send_signal(signal.SIGKILL)
        victim.wait(PATIENCE)
    channels, rate, frames, pcm = _by_stdlib(path)
    assert (channels, rate) == (1, 8000)
    assert len(pcm) == 2 * frames >= 16_000
    for number in range(frames // 160):
        assert pcm[number * 320 : number * 320 + 320] == bytes([number % 250 + 1]) * 320


# -- pictures ----------------------------------------------------------------------------------------------------------


def test_a_waveform_tells_loud_from_quiet() -> None:
    pcm = _pcm(*[0] * 100, *[20000, -20000] * 50, *[5000] * 100, *[0] * 100)
    lines = draw_waveform(pcm, width=4, height=2, sample_rate=100).split("\n")
    assert lines == [" █", " ██", "0 4.0 s"]


def test_utterances_are_marked_below_their_channel() -> None:
    stereo = WavAudio(pcm=interleave([_pcm(*[20000] * 400), _pcm(*[20000] * 400)]), sample_rate=100, channels=2)
    spoken = [[(0.0, 1.0), (2.0, 2.1), (3.5, 9.0)], []]
    assert draw_waveform(stereo, width=8, height=1, labels=("a", "b"), spoken=spoken).split("\n") == [
        "a ████████",
        "  ├┤  │  │",
        "b ████████",
        "  0  4.0 s",
    ]
    assert "||  |  |" in draw_waveform(stereo, width=8, height=1, spoken=spoken, ascii=True)
    assert draw_waveform(b"", width=4, spoken=[[(0.0, 1.0)]]).split("\n")[2] == "│"


def test_utterances_are_marked_in_a_drawing() -> None:
    drawn = svg_waveform([[0, 9000], [9000, 0]], ["inbound", "outbound"], 4.0, [(1, 1.0, 3.0), (2, 0.0, 1.0)])
    (mark,) = re.findall(r"<rect [^>]*><title>[^<]*</title></rect>", drawn)
    assert 'x="0.5" y="49" width="1.0"' in mark
    assert "<title>utterance, 1.00 to 3.00 s</title>" in mark


def test_a_waveform_of_two_tracks(tmp_path: Path) -> None:
    write_wav(tmp_path / "x.wav", interleave([_pcm(30000, 0), _pcm(0, -32768)]), 8000, 2)
    drawn = draw_waveform(tmp_path / "x.wav", width=2, height=1, labels=("inbound", "outbound"))
    assert drawn.split("\n")[:2] == ["inbound  █", "outbound  █"]
    assert "left" in draw_waveform(read_wav(tmp_path / "x.wav"))


def test_a_drawing_shows_loud_and_quiet() -> None:
    pcm = _pcm(*[0] * 100, *[20000, -20000] * 50, *[5000] * 100, *[0] * 100)

    def excerpt(start: int, count: int) -> bytes:
        return pcm[2 * start : 2 * (start + count)]

    assert peaks_of(excerpt, 400, 1, 4) == [[0, 20000, 5000, 0]]
    assert peaks_of(lambda start, count: interleave([excerpt(start, count), b""]), 400, 2, 2)[1] == [0, 0]
    drawn = svg_waveform([[0, 20000, 5000, 0]], ["<caller>"], 4.0)
    assert "<title>&lt;caller&gt;</title>" in drawn
    heights = [float(end) - float(begin) for begin, end in re.findall(r"M[0-9]\.5 ([0-9.]+)V([0-9.]+)", drawn)]
    assert heights == [0.5, 44.5, 22.5, 0.5]  # by the square root, as in a terminal


def test_a_waveform_of_nothing_and_of_next_to_nothing() -> None:
    assert "█" not in draw_waveform(b"", width=10)
    assert "█" in draw_waveform(_pcm(1000), width=10, height=1)
    assert "█" in draw_waveform(_pcm(-32768), width=1, height=1)
    with pytest.raises(ValueError, match="width"):
        draw_waveform(b"", width=0)


@given(st.integers(1, 3), st.integers(1, 120), st.integers(1, 4), st.integers(0, 500))
def test_a_waveform_fits(channels: int, width: int, height: int, samples: int) -> None:
    rng = random.Random(samples)
    pcm = _pcm(*(rng.randint(-32768, 32767) for _ in range(samples * channels)))
    lines = draw_waveform(WavAudio(pcm=pcm, sample_rate=8000, channels=channels), width=width, height=height).split(
        "\n"
    )
    assert len(lines) == channels * height + 1
    assert max(map(len, lines[:-1])) <= width + 6
