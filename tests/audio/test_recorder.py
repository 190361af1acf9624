"""Recordings and what goes wrong with disks: slow ones, full ones, files that are in use, and errors of one recording."""

from __future__ import annotations

import errno
import gc
import logging
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from relay_sync import InvalidParameter
from relay_sync.audio import AudioServer, AudioStream, read_wav, recorder, recording_files, snapshot, write_wav
from relay_sync.audio.disk import Disk
from relay_sync.audio.recorder import Recorder
from relay_sync.audio.recording_files import spool_file
from relay_sync.audio.wav import interleave
from relay_sync.rest import RestClient
from relay_sync.simulator import Simulator
from relay_sync.threads import logs
from relay_sync.threads.flag import Bell
from relay_sync.threads.outcome import wait_until
from tests.support import PATIENCE
from tests.support.background import Background, until
from tests.support.carrier import Carrier
from tests.support.clocks import stopped
from tests.support.forks import in_child


def new_file(path: Path) -> BinaryIO:
    return open(path, "x+b", buffering=0)


def pcm_of(value: int, samples: int) -> bytes:
    return value.to_bytes(2, "little") * samples


@pytest.fixture
def dial() -> Iterator[Callable[..., Carrier]]:
    made: list[Carrier] = []

    def make(server: AudioServer, call_id: str, *tracks: str) -> Carrier:
        made.append(Carrier(server.url).start(*tracks, encoding="audio/x-L16", call_id=call_id))
        return made[-1]

    yield make
    for carrier in made:
        carrier.ws.shutdown()  # type: ignore[no-untyped-call]


Dial = Callable[..., Carrier]


@pytest.fixture
def disk() -> Iterator[Disk]:
    made = Disk("relay-test-disk")
    yield made
    assert made.join(PATIENCE)


# -- whose turn it is --------------------------------------------------------------------------------------------------


def test_recordings_that_go_on_are_written_whoever_ends(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is always another that has just ended, and yet others are written twice a second."""
    monkeypatch.setattr("relay_sync.audio.disk.INTERVAL", 0.02)
    over = threading.Event()

    def another() -> BinaryIO:
        if not over.is_set():
            short = Recorder(another, 8000, 1)
            disk.add(short)
            short.add(0, 0, pcm_of(2, 160))
            disk.finish(short)
        return spool_file()

    long = Recorder(lambda: new_file(tmp_path / "long.wav"), 8000, 1)
    disk.add(long)
    assert long.made(PATIENCE)
    first = Recorder(another, 8000, 1)
    disk.add(first)
    disk.finish(first)
    for number in range(1, 5):
        long.add(0, (number - 1) * 160, pcm_of(number, 160))
        until(lambda number=number: read_wav(tmp_path / "long.wav").samples == number * 160)  # type: ignore[misc]
    over.set()
    disk.finish(long)


def test_a_recording_in_a_hurry_does_not_wait_behind_files_that_are_made(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay_sync.audio.disk.INTERVAL", 0.02)
    long = Recorder(lambda: new_file(tmp_path / "long.wav"), 8000, 1)
    disk.add(long)
    assert long.made(PATIENCE)
    doors = [threading.Event() for _ in range(3)]
    entered = [threading.Event() for _ in doors]

    def slow(number: int) -> BinaryIO:
        entered[number].set()
        assert doors[number].wait(PATIENCE)
        return spool_file()

    slow_ones = [Recorder(lambda number=number: slow(number), 8000, 1) for number in range(3)]  # type: ignore[misc]
    for each in slow_ones:
        disk.add(each)
    assert entered[0].wait(PATIENCE)
    long.add(0, 0, pcm_of(1, 160))
    assert disk.hurry(long)
    time.sleep(0.03)  # the next round is due
    doors[0].set()
    until(lambda: read_wav(tmp_path / "long.wav").samples == 160)
    assert not slow_ones[2].made(0)
    for door in doors:
        door.set()
    for each in (*slow_ones, long):
        disk.finish(each)


# -- slow disks --------------------------------------------------------------------------------------------------------


class Slow:
    """Stands for an operation of a slow file system: it does not return before it may. Notes who calls it."""

    def __init__(self, real: Callable[..., Any]) -> None:
        self.real = real
        self.entered, self.may_return = threading.Event(), threading.Event()
        self.threads: set[str] = set()

    def __call__(self, *args: Any, **options: Any) -> Any:
        self.threads.add(threading.current_thread().name)
        self.entered.set()
        assert self.may_return.wait(PATIENCE)
        return self.real(*args, **options)


@pytest.mark.parametrize("what", ["the file", "its folder", "the spool", "a write"])
def test_a_slow_disk_holds_up_no_stream_and_no_closing(
    dial: Dial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    record_to = None if what == "the spool" else tmp_path / "{call_id}.wav"
    audio = AudioServer(record_to=record_to).start()
    if what == "the file":
        slow = Slow(open)
        monkeypatch.setattr(recording_files, "open", slow, raising=False)
    elif what == "its folder":
        slow = Slow(Path.mkdir)
        monkeypatch.setattr(Path, "mkdir", lambda *args, **options: slow(*args, **options))
    elif what == "the spool":
        slow = Slow(tempfile.TemporaryFile)
        monkeypatch.setattr(tempfile, "TemporaryFile", slow)
    else:
        slow = Slow(os.pwrite)
        monkeypatch.setattr(recorder, "_pwrite", slow)
    carriers = [dial(audio, name) for name in ("a", "b")]
    streams = {stream.call_id: stream for stream in (audio.accept(PATIENCE) for _ in carriers)}
    assert slow.entered.wait(PATIENCE)
    for number, carrier in enumerate(carriers):
        carrier.media(pcm_of(number + 1, 160))
    for number, name in enumerate("ab"):
        assert streams[name].read(0.02, PATIENCE) == pcm_of(number + 1, 160)
    began = time.monotonic()
    streams["a"].close(0.05)
    audio.close(0.1)
    assert time.monotonic() - began < 1
    assert streams["a"].ended
    assert streams["b"].ended
    slow.may_return.set()
    audio.close(PATIENCE)
    assert all(name.endswith("-disk") for name in slow.threads), slow.threads
    for number, name in enumerate("ab"):
        path = streams[name].recorded_to or tmp_path / f"{name}.saved.wav"
        if record_to is None:
            streams[name].save(path)
        assert read_wav(path).pcm == pcm_of(number + 1, 160)


def test_a_slow_last_write_holds_up_nobody_beyond_his_timeout(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = Recorder(lambda: new_file(tmp_path / "last.wav"), 8000, 1)
    disk.add(last)
    assert last.made(PATIENCE)
    slow = Slow(os.pwrite)
    monkeypatch.setattr(recorder, "_pwrite", slow)
    last.add(0, 0, pcm_of(1, 160))
    disk.finish(last)
    assert slow.entered.wait(PATIENCE)
    try:
        waits = [Background(lambda: last.settle(0.02)) for _ in range(2)]
        assert [each.result(PATIENCE / 2) for each in waits] == [False, False]
        last.add(0, 160, pcm_of(2, 160))  # it came late, and is written there, too
        assert not Background(lambda: last.settle(0.02)).result(PATIENCE / 2)
    finally:
        slow.may_return.set()
    assert last.settle(PATIENCE)
    assert read_wav(tmp_path / "last.wav").pcm == pcm_of(1, 160) + pcm_of(2, 160)
    assert slow.threads == {"relay-test-disk"}
    until(lambda: not disk.hurry(last))


def test_a_file_is_closed_by_the_disk_thread(disk: Disk, tmp_path: Path) -> None:
    """Closing it writes what the file system has kept back. Whoever forgets a stream last does not wait for that."""
    closed_by: list[str] = []
    done = threading.Event()

    class Watched:
        def __init__(self, file: BinaryIO) -> None:
            self.fileno, self.name = file.fileno, file.name
            self.file = file

        def close(self) -> None:
            closed_by.append(threading.current_thread().name)
            self.file.close()
            done.set()

    stays = Recorder(spool_file, 8000, 1)
    disk.add(stays)
    goes = Recorder(lambda: Watched(new_file(tmp_path / "x.wav")), 8000, 1)  # type: ignore[arg-type,return-value]
    disk.add(goes)
    assert goes.made(PATIENCE)
    disk.finish(goes)
    assert goes.settle(PATIENCE)
    del goes
    assert done.wait(PATIENCE)
    assert closed_by == ["relay-test-disk"]
    disk.finish(stays)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_saving_into_a_pipe_that_nobody_reads_holds_up_nothing(dial: Dial, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with AudioServer(record_to=tmp_path / "{call_id}.wav") as audio, ThreadPoolExecutor(1) as pool:
        carriers = [dial(audio, name) for name in ("a", "b")]
        streams = {stream.call_id: stream for stream in (audio.accept(PATIENCE) for _ in carriers)}
        carriers[0].media(pcm_of(1, 80_000))  # more than a pipe holds
        assert streams["a"].read(10, PATIENCE)
        saving = pool.submit(streams["a"].save, tmp_path / "pipe")
        reader = os.open(tmp_path / "pipe", os.O_RDONLY)
        assert os.read(reader, 4) == b"RIFF"  # it is in the middle of it
        for carrier in carriers:
            carrier.media(pcm_of(2, 160))
        carriers[0].media(pcm_of(3, 160), track="outbound", chunk=502)  # the file that is read becomes another
        for carrier in carriers:
            carrier.stop()
        for name in ("a", "b"):
            assert streams[name].wait(PATIENCE)
            streams[name].save(tmp_path / f"{name}.saved.wav")
        assert not saving.done()
        rest = b""
        while piece := os.read(reader, 2**16):
            rest += piece
        os.close(reader)
        saving.result(PATIENCE)
    assert rest[40:] == pcm_of(1, 80_000)  # as it was when the saving began
    assert read_wav(tmp_path / "b.wav").pcm == pcm_of(2, 160)
    assert read_wav(tmp_path / "a.wav").channel(0)[:160_000] == pcm_of(1, 80_000)
    assert read_wav(tmp_path / "a.saved.wav").pcm == read_wav(tmp_path / "a.wav").pcm


# -- full disks, and the end of the process ----------------------------------------------------------------------------

STEPS: list[Callable[[Recorder], object]] = [
    lambda kept: kept.add(0, 0, pcm_of(1, 300)),
    Recorder.flush,
    lambda kept: kept.add(0, 300, pcm_of(2, 300)),
    lambda kept: kept.add(0, 100, pcm_of(3, 10)),  # late
    Recorder.flush,
    lambda kept: kept.widen(0),
    lambda kept: kept.add(1, 400, pcm_of(4, 500)),
    lambda kept: kept.add(0, 20_000, pcm_of(5, 10)),  # behind a silence that is a piece of its own
    Recorder.flush,
    lambda kept: kept.add(1, 10, pcm_of(6, 10)),
    Recorder.flush,
]


def left_of(path: Path) -> bytes:
    """The caller's side of the file, which has to be a valid one."""
    audio = read_wav(path)
    assert path.stat().st_size >= 44 + len(audio.pcm)
    return audio.channel(0)


def sound_left() -> bytes:
    sound = bytearray(2 * 20_010)
    for first, value, samples in ((0, 1, 300), (300, 2, 300), (100, 3, 10), (20_000, 5, 10)):
        sound[2 * first : 2 * (first + samples)] = pcm_of(value, samples)
    return bytes(sound)


class Counted:
    """An operation of the system, and what is to happen at its n-th call."""

    def __init__(self, real: Callable[..., Any], act: Callable[[int], object]) -> None:
        self.real, self.act, self.calls = real, act, 0

    def __call__(self, *args: Any) -> Any:
        self.calls += 1
        self.act(self.calls)
        return self.real(*args)


needs_pwrite = pytest.mark.skipif(not hasattr(os, "pwrite"), reason="needs os.pwrite")


@needs_pwrite
def test_whenever_the_disk_is_full_the_file_is_valid_and_nothing_that_was_safe_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "_COPY", 400)

    def run(fails_at: int) -> tuple[int, bytes]:
        def act(number: int) -> None:
            if number >= fails_at:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        write = Counted(os.pwrite, act)
        folder = tmp_path / str(fails_at)
        folder.mkdir()
        monkeypatch.setattr(recorder, "_pwrite", write)
        kept = Recorder(lambda: new_file(folder / "x.wav"), 8000, 1)
        safe = b""
        for step in STEPS:
            step(kept)
            if step is Recorder.flush and kept.error is None:
                safe = left_of(folder / "x.wav")
        assert os.listdir(folder) == (["x.wav"] if fails_at > 1 else [])
        left = left_of(folder / "x.wav") if fails_at > 1 else b""
        assert left.startswith(safe[:200])
        assert len(left) >= len(safe)
        if kept.error is not None and fails_at > 1:
            with pytest.raises(OSError, match="No space left"):
                kept.copy_to(folder / "saved.wav")
            assert (folder / "saved.wav").exists() == bool(left)
        kept.close()
        return write.calls, left

    calls, left = run(10**6)
    assert calls > 10
    assert left == sound_left()
    for number in range(1, calls + 1):
        run(number)


@needs_pwrite
def test_a_failed_recording_is_closed_when_nothing_refers_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the garbage collector: until it runs, an open file would keep the space of a full disk, even if it is removed."""

    def full(_number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from OSError("a reason")

    file = new_file(tmp_path / "x.wav")
    kept = Recorder(file, 8000, 1)
    monkeypatch.setattr(recorder, "_pwrite", Counted(os.pwrite, full))
    gc.disable()
    try:
        kept.add(0, 0, pcm_of(1, 100))
        kept.flush()
        assert kept.error is not None
        del kept
        assert file.closed
    finally:
        gc.enable()


@needs_pwrite
def test_at_whatever_moment_the_process_is_killed_the_file_is_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a look between two operations finds is what a killed process leaves."""
    monkeypatch.setattr(recorder, "_COPY", 400)
    path = tmp_path / "x.wav"
    safe, looks = [b""], []

    def look(_number: int) -> None:
        if path.exists() and path.stat().st_size:
            left = left_of(path)
            looks.append(left)
            assert len(left) >= len(safe[-1])
            assert left[:200] == safe[-1][:200] or not safe[-1]

    for module, name in ((recorder, "_pwrite"), (os, "replace")):
        monkeypatch.setattr(module, name, Counted(getattr(module, name) or os.pwrite, look))
    kept = Recorder(lambda: new_file(path), 8000, 1)
    for step in STEPS:
        step(kept)
        if step is Recorder.flush:
            safe.append(left_of(path))
    assert kept.error is None
    assert len(looks) > 10
    assert read_wav(path).channels == 2
    assert safe[-1] == sound_left()
    kept.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of a file's size there")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_saving_on_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    write_wav(tmp_path / "x.wav", pcm_of(1, 10), 8000)
    long_name = tmp_path / ("y" * 251 + ".wav")
    kept = Recorder(spool_file(), 8000, 1)
    kept.add(0, 0, pcm_of(2, 5000))
    kept.copy_to(long_name)
    assert read_wav(long_name).samples == 5000

    def child() -> None:
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        for room in (0, 20, 44, 5000):
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
            with pytest.raises(OSError, match=r"x\.wav") as caught:
                write_wav(tmp_path / "x.wav", pcm_of(3, 5000), 8000)
            assert caught.value.errno == errno.EFBIG
            with pytest.raises(OSError, match=r"x\.wav") as caught:
                kept.copy_to(tmp_path / "x.wav")
            assert caught.value.errno == errno.EFBIG

    in_child(child)
    assert sorted(os.listdir(tmp_path)) == ["x.wav", long_name.name]
    assert read_wav(tmp_path / "x.wav").pcm == pcm_of(1, 10)
    kept.close()


# -- two users of one file ---------------------------------------------------------------------------------------------


def _recorded(dial: Dial, audio: AudioServer, call_id: str) -> tuple[Carrier, AudioStream]:
    carrier = dial(audio, call_id)
    carrier.media(pcm_of(1, 160))
    stream = audio.accept(PATIENCE)
    assert stream.read(0.02, PATIENCE) == pcm_of(1, 160)
    return carrier, stream


def test_a_recording_is_written_where_the_clock_stands_still(
    dial: Dial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay_sync.audio.disk.INTERVAL", 0.02)
    with AudioServer(record_to=tmp_path / "{call_id}.wav") as audio:
        carrier, stream = _recorded(dial, audio, "a")
        path = Path(stream.recorded_to or "")
        with stopped():
            for chunk in range(2, 5):
                before = path.stat().st_size
                carrier.media(pcm_of(chunk, 160), chunk=chunk)
                written = partial(lambda size: path.stat().st_size >= size, before + 320)
                assert any(wait_until(written, Bell(), 0.005) for _ in range(400))
        carrier.stop()
        assert stream.wait(PATIENCE)


def test_what_is_just_being_made_is_not_saved_over(disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "call.wav"
    slow, real = Slow(os.pwrite), os.replace
    refused: list[InvalidParameter] = []

    def save_over() -> None:
        with pytest.raises(InvalidParameter, match="being recorded to") as caught:
            write_wav(path, pcm_of(9, 80), 8000)
        refused.append(caught.value)

    def replace(part: str, target: str) -> None:  # the stereo file, the mono one
        real(part, target)
        save_over()

    with monkeypatch.context() as patch:
        patch.setattr(recorder, "_pwrite", slow)
        made = Recorder(lambda: new_file(path), 8000, 1)
        disk.add(made)
        assert slow.entered.wait(PATIENCE)
        try:
            save_over()
        finally:
            slow.may_return.set()
    assert made.made(PATIENCE)
    made.add(0, 0, pcm_of(1, 160))
    made.widen(0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        assert made.settle(PATIENCE)
    disk.finish(made)
    assert made.settle(PATIENCE)
    assert len(refused) == 2
    assert made.error is None
    assert read_wav(path).channel(0) == pcm_of(1, 160)
    until(lambda: not disk.hurry(made))
    write_wav(path, pcm_of(9, 80), 8000)  # now it is complete


def test_a_recording_that_begins_at_the_end_of_a_download_is_not_replaced(
    dial: Dial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, fsync = tmp_path / "a.wav", os.fsync
    begun: list[tuple[Carrier, AudioStream]] = []

    with AudioServer(record_to=tmp_path / "{call_id}.wav") as audio, Simulator() as sim:

        def slow(file: int) -> None:
            begun.append(_recorded(dial, audio, "a"))
            assert begun[0][1].recorded_to == str(path)
            fsync(file)

        with RestClient(**sim.credentials) as rest, monkeypatch.context() as patch:
            patch.setattr(os, "fsync", slow)
            with pytest.raises(InvalidParameter, match="being recorded to"):
                rest.download(sim.add_recording(bytes(4000)), path)
        ((carrier, stream),) = begun
        carrier.stop()
        assert stream.wait(PATIENCE)
    assert read_wav(path).pcm == pcm_of(1, 160)


def test_what_is_being_recorded_to_is_not_saved_over(dial: Dial, tmp_path: Path) -> None:
    pattern = tmp_path / "{call_id}.wav"
    with AudioServer(record_to=pattern) as audio, AudioServer() as elsewhere:
        carrier, stream = _recorded(dial, audio, "a")
        other_carrier, another = _recorded(dial, elsewhere, "b")
        path = Path(stream.recorded_to or "")
        (tmp_path / "symbolic.wav").symlink_to(path)
        os.link(path, tmp_path / "hard.wav")
        (tmp_path / "folder").mkdir()
        names = [path, tmp_path / "folder" / ".." / "a.wav", tmp_path / "symbolic.wav", tmp_path / "hard.wav"]
        for name in names:
            for each in (stream, another):
                with pytest.raises(InvalidParameter, match="another file: this one is being recorded to"):
                    each.save(name)
            with pytest.raises(InvalidParameter, match="being recorded to"):
                write_wav(name, b"", 8000)
            with (
                RestClient("p", "t", "http://127.0.0.1:9") as rest,
                pytest.raises(InvalidParameter, match="being recorded to"),
            ):
                rest.download("http://127.0.0.1:9/x.wav", name)
        carrier.media(pcm_of(2, 160))
        carrier.media(pcm_of(3, 160), track="outbound", chunk=2)  # from now on it is another file of the same name
        assert stream.read(0.02, PATIENCE) == pcm_of(2, 160)
        until(lambda: read_wav(path).channels == 2)
        with pytest.raises(InvalidParameter, match="being recorded to"):
            another.save(path)
        carrier.media(pcm_of(4, 160))
        carrier.stop()
        assert stream.wait(PATIENCE)
        whole = read_wav(path)
        assert whole.channel(0) == pcm_of(1, 160) + pcm_of(2, 160) + pcm_of(4, 160)
        until(lambda: not audio._disk._leaving)
        stream.save(path)  # it is complete: now it may be
        assert read_wav(path) == whole
        another.save(path)
        assert read_wav(path).pcm == pcm_of(1, 160)
        other_carrier.cut()
    assert not list(tmp_path.glob(".*"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_child_may_write_what_its_parent_has_recorded(dial: Dial, tmp_path: Path) -> None:
    (forked, tell_forked), (done, tell_done) = os.pipe(), os.pipe()
    with AudioServer(record_to=tmp_path / "{call_id}.wav") as audio:
        carrier, stream = _recorded(dial, audio, "a")
        path = stream.recorded_to
        assert path is not None

        def end() -> None:
            assert os.read(forked, 1) == b"!"
            carrier.stop()
            assert stream.wait(PATIENCE)
            os.write(tell_done, b"!")

        ending = Background(end)

        def write() -> None:
            os.write(tell_forked, b"!")
            assert os.read(done, 1) == b"!"
            write_wav(path, pcm_of(7, 80), 8000)

        in_child(write)
        ending.result()
    for each in (forked, tell_forked, done, tell_done):
        os.close(each)
    assert read_wav(path).pcm == pcm_of(7, 80)


def test_streams_that_record_to_one_path_get_a_file_each(dial: Dial, tmp_path: Path) -> None:
    with AudioServer(record_to=tmp_path / "x.wav") as audio, AudioServer(record_to=tmp_path / "x.wav") as elsewhere:
        carriers, paths = [], []
        for name, server in zip("abc", (audio, elsewhere, audio), strict=True):
            carrier, stream = _recorded(dial, server, name)
            carriers.append(carrier)
            paths.append(os.path.basename(stream.recorded_to or ""))  # waits for the file
        for carrier in carriers:
            carrier.cut()
    assert paths == ["x.wav", "x-2.wav", "x-3.wav"]
    assert all(read_wav(tmp_path / name).pcm == pcm_of(1, 160) for name in paths)


@pytest.mark.parametrize("taken", [False, True])
def test_a_recording_that_was_moved_away_goes_on_and_overwrites_nothing(tmp_path: Path, taken: bool) -> None:
    path = tmp_path / "x.wav"
    kept = Recorder(new_file(path), 8000, 1)
    kept.add(0, 0, pcm_of(1, 10))
    kept.flush()
    path.rename(tmp_path / "moved.wav")
    if taken:
        path.write_text("somebody else's")
    kept.widen(1)
    kept.add(0, 10, pcm_of(2, 10))
    kept.close()
    assert kept.path == str(tmp_path / ("x-2.wav" if taken else "x.wav"))
    assert read_wav(kept.path).channel(1)[:20] == pcm_of(1, 10)
    assert read_wav(kept.path).channel(0)[20:] == pcm_of(2, 10)
    assert read_wav(tmp_path / "moved.wav").pcm == pcm_of(1, 10)
    assert not taken or path.read_text() == "somebody else's"


# -- errors of one recording -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [MemoryError, TypeError, RecursionError, SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("where", ["make", "write", "flush", "room"])
def test_whatever_goes_wrong_costs_that_recording_only(
    disk: Disk,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: type[BaseException],
    where: str,
) -> None:
    bad: Recorder

    def fail(*_: object) -> Any:
        raise error("on purpose")

    monkeypatch.setattr(recorder, "FULL", 100)
    bad = Recorder(fail if where == "make" else spool_file, 8000, 1, fail if where == "room" else None)
    if where in ("write", "flush"):
        setattr(bad, {"write": "_write"}.get(where, where), fail)
    good = Recorder(lambda: new_file(tmp_path / "good.wav"), 8000, 1)
    for each in (bad, good):
        each.add(0, 0, pcm_of(1, 160))
        disk.add(each)
    assert bad.settle(PATIENCE)
    until(lambda: bad.error is not None)
    assert "on purpose" in str(bad.error)
    good.add(0, 160, pcm_of(2, 160))
    assert good.settle(PATIENCE)
    assert read_wav(tmp_path / "good.wav").samples == 320
    bad.add(0, 160, pcm_of(2, 160))
    for each in (bad, good):
        disk.finish(each)
    assert disk.join(PATIENCE)
    assert good.error is None
    assert caplog.text.count("on purpose") == 1
    later = Recorder(lambda: new_file(tmp_path / "later.wav"), 8000, 1)
    disk.add(later)
    later.add(0, 0, pcm_of(3, 160))
    disk.finish(later)
    assert later.settle(PATIENCE)
    assert read_wav(tmp_path / "later.wav").samples == 160


@pytest.mark.parametrize("does", ["save", "raise"])
def test_a_handler_of_the_log_may_save_and_may_fail(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str
) -> None:
    """Told is the failure of a recording, which the disk thread has no time to wait for."""
    told: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(threading.current_thread().name)
            if does == "raise":
                raise ValueError("in a handler")
            with pytest.raises(OSError, match=r"contains its first 0\.02 s"):
                bad.copy_to(tmp_path / "saved.wav")

    def fail(*_: object) -> None:
        raise MemoryError

    bad, good = (Recorder(spool_file, 8000, 1) for _ in range(2))
    log, handler = logging.getLogger("relay_sync.audio"), Handler()
    log.addHandler(handler)
    try:
        for each in (bad, good):
            disk.add(each)
            each.add(0, 0, pcm_of(1, 160))
            assert each.settle(PATIENCE)
        monkeypatch.setattr(bad, "_write", fail)
        bad.add(0, 160, pcm_of(1, 160))
        assert bad.settle(PATIENCE)
        good.add(0, 160, pcm_of(2, 160))
        assert good.settle(PATIENCE)
        disk.finish(bad)
        disk.finish(good)
        assert disk.join(PATIENCE)
        assert logs.flush(PATIENCE)
    finally:
        log.removeHandler(handler)
    kept = good.snapshot()
    assert kept is not None
    with kept:
        assert (told, kept.samples, kept.channels) == (["relay-log"], 320, 1)
    assert does == "raise" or read_wav(tmp_path / "saved.wav").pcm == pcm_of(1, 160)


@needs_pwrite
def test_what_is_on_disk_can_be_looked_at_while_a_write_takes_its_time(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Recorder(spool_file, 8000, 1)
    disk.add(kept)
    kept.add(0, 0, pcm_of(1, 160))
    assert kept.settle(PATIENCE)
    slow = Slow(os.pwrite)
    monkeypatch.setattr(recorder, "_pwrite", slow)
    kept.add(0, 160, pcm_of(2, 160))
    assert not kept.settle(0.01)
    assert slow.entered.wait(PATIENCE)
    found = Background(kept.snapshot).result()
    assert found is not None
    with found:
        assert (found.samples, found.excerpt(0, 1000)) == (160, pcm_of(1, 160))
    slow.may_return.set()
    disk.finish(kept)


@pytest.mark.parametrize("spool", [False, True])
@pytest.mark.parametrize("error", [TypeError, MemoryError, ValueError])
def test_whatever_a_recording_raises_at_its_start_costs_no_stream(
    dial: Dial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception], spool: bool
) -> None:
    def fail(*_: object) -> BinaryIO:
        raise error("on purpose")

    monkeypatch.setattr("relay_sync.audio.recording_files.open_recording", fail)
    with AudioServer(record_to=tmp_path / "{call_id}.wav", spool=spool) as audio:
        carrier, stream = _recorded(dial, audio, "a")
        assert stream.recorded_to is None
        carrier.stop()
        assert stream.wait(PATIENCE)
        if spool:
            stream.save(tmp_path / "kept.wav")
            assert read_wav(tmp_path / "kept.wav").pcm == pcm_of(1, 160)
        else:
            with pytest.raises(OSError, match=r"its file could not be created: .*on purpose"):
                stream.save(tmp_path / "kept.wav")
            assert not list(tmp_path.iterdir())


def test_without_a_thread_for_the_disk_streams_come_all_the_same(
    dial: Dial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with AudioServer() as audio:
        monkeypatch.setattr(audio._disk, "_run", None)
        monkeypatch.setattr(Disk, "add", lambda *_: _no_thread())
        carrier, stream = _recorded(dial, audio, "a")
        carrier.stop()
        assert stream.wait(PATIENCE)
        with pytest.raises(OSError, match=r"its file could not be created: .*can't start new thread"):
            stream.save(tmp_path / "kept.wav")


def _no_thread() -> None:
    raise RuntimeError("can't start new thread")


# -- where the system cannot write at a position, nor rename what is open ----------------------------------------------


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("named", [False, True])
def test_recordings_without_pwrite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool) -> None:
    class InPieces:
        """A file that takes a part of what it is given, as files may."""

        def __init__(self, file: BinaryIO) -> None:
            self.file = file
            self.name, self.fileno, self.seek, self.truncate, self.close = (
                *(file.name, file.fileno, file.seek, file.truncate, file.close),
            )

        def write(self, data: memoryview) -> int:
            return self.file.write(data[:7])

    monkeypatch.setattr(recorder, "_pwrite", None)
    monkeypatch.setattr(snapshot, "_pread", None)
    monkeypatch.setattr(recorder, "_RENAMES_OPEN_FILES", False)
    monkeypatch.setattr(recorder, "_COPY", 100)

    def check() -> None:
        made = InPieces(new_file(tmp_path / "x.wav") if named else spool_file())
        kept = Recorder(made, 8000, 1)  # type: ignore[arg-type]

        def flush() -> None:
            kept.flush()
            assert kept.error is None

        kept.add(0, 0, pcm_of(1, 300))
        flush()
        kept.add(0, 300, pcm_of(2, 100))
        kept.add(0, 10, pcm_of(3, 10))
        flush()
        mono = pcm_of(1, 10) + pcm_of(3, 10) + pcm_of(1, 280) + pcm_of(2, 100)
        kept.copy_to(tmp_path / "mono.wav")
        assert read_wav(tmp_path / "mono.wav").pcm == mono
        kept.widen(1)
        kept.add(0, 390, pcm_of(4, 20))
        flush()
        kept.copy_to(tmp_path / "stereo.wav")
        stereo = interleave([bytes(780) + pcm_of(4, 20), mono])
        assert read_wav(tmp_path / "stereo.wav").pcm == stereo
        assert not named or read_wav(tmp_path / "x.wav").pcm == stereo
        kept.close()
        assert not list(tmp_path.glob(".*"))

    # A loop that never ends is ended from outside.
    (in_child if hasattr(os, "fork") else lambda function: function())(check)


@pytest.mark.parametrize("threaded", [False, True])
def test_what_came_before_the_limit_is_kept_though_it_was_not_yet_written(
    disk: Disk, tmp_path: Path, caplog: pytest.LogCaptureFixture, threaded: bool
) -> None:
    recorder = Recorder(lambda: new_file(tmp_path / "x.wav"), 8000, 1)
    if threaded:
        disk.add(recorder)
    recorder.add(0, 0, pcm_of(1, 8000))
    recorder.stop("enough")
    assert not recorder.add(0, 8000, pcm_of(2, 8000))
    with pytest.raises(OSError, match=r"contains its first 1\.00 s: enough"):
        recorder.copy_to(tmp_path / "copy.wav")
    assert read_wav(tmp_path / "copy.wav").pcm == pcm_of(1, 8000)
    assert str(recorder.error) == "enough"
    assert caplog.text.count("enough") == 1
    disk.finish(recorder)
    recorder.close()


def test_what_came_during_a_write_is_kept_though_the_limit_came_then_too(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(lambda: new_file(tmp_path / "x.wav"), 8000, 1)
    disk.add(recorder)
    assert recorder.settle(PATIENCE)
    slow = Slow(recorder._write)
    monkeypatch.setattr(recorder, "_write", slow)
    recorder.add(0, 0, pcm_of(1, 8000))
    assert disk.hurry(recorder)
    assert slow.entered.wait(PATIENCE)
    recorder.add(0, 8000, pcm_of(2, 8000))
    recorder.stop("enough")
    slow.may_return.set()
    with pytest.raises(OSError, match=r"contains its first 2\.00 s: enough"):
        recorder.copy_to(tmp_path / "copy.wav")
    assert read_wav(tmp_path / "copy.wav").pcm == pcm_of(1, 8000) + pcm_of(2, 8000)
    assert str(recorder.error) == "enough"
    disk.finish(recorder)
    recorder.close()
