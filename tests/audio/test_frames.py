"""Frames between the receiving thread and those who read: bounded, each handed out once, nobody left asleep."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_sync import Forked, WaitTimeout
from relay_sync.audio.frames import AudioFrame, FrameBuffer, _Reader
from relay_sync.server import Loop
from relay_sync.threads.timeouts import TimeLeft
from tests.support.background import Background, until
from tests.support.forks import exit_code, holds_in_child, raises_forked

PATIENCE = 20.0
TRACKS = ("inbound", "outbound")


def take_bytes(buffer: FrameBuffer, track: str, wanted: int, timeout: float | None) -> list[bytes]:
    """Whole frames, as read() takes them."""
    taken: list[Any] = []
    buffer._take_many(track, wanted, TimeLeft(timeout), taken)
    return [entry[1] for entry in taken]


@st.composite
def _steps(draw: st.DrawFn) -> list[tuple[str, str, int]]:
    kind = st.sampled_from(["put", "put", "put", "take", "bytes", "any"])
    return draw(st.lists(st.tuples(kind, st.sampled_from(TRACKS), st.integers(1, 40)), max_size=60))


@given(_steps(), st.integers(1, 120), st.integers(2, 8))
def test_whatever_is_done_it_behaves_like_a_list_with_a_limit(
    steps: list[tuple[str, str, int]], room: int, most: int
) -> None:
    buffer = FrameBuffer(room, sample_rate=8000, max_frames=most)
    model: list[tuple[str, bytes]] = []
    dropped = 0

    def of(track: str) -> list[tuple[str, bytes]]:
        return [entry for entry in model if entry[0] == track]

    for number, (kind, track, size) in enumerate(steps):
        if kind == "put":
            data = bytes([number % 256]) * size
            buffer.put(track, data, number / 50, number)
            model.append((track, data))
            while len(of(track)) > 1 and (sum(len(each) for _, each in of(track)) > room or len(of(track)) > most):
                model.remove(of(track)[0])
                dropped += 1
        elif kind == "bytes":
            wanted, held = max(1, min(size, room // 2)), of(track)
            if held and (sum(len(each) for _, each in held) >= wanted or 2 * len(held) >= most):
                expected = []
                while wanted > 0 and held:
                    entry = held.pop(0)
                    model.remove(entry)
                    expected.append(entry[1])
                    wanted -= len(entry[1])
                assert take_bytes(buffer, track, size, 0) == expected
            else:
                with pytest.raises(WaitTimeout):
                    take_bytes(buffer, track, size, 0)
        else:
            held = model if kind == "any" else of(track)
            if held:
                entry = held[0]
                model.remove(entry)
                frame = buffer.take(None if kind == "any" else track, 0)
                assert frame is not None
                assert (frame.track, frame.data) == entry
            else:
                with pytest.raises(WaitTimeout):
                    buffer.take(None if kind == "any" else track, 0)
        assert buffer.dropped == dropped
    buffer.end()
    rest = []
    while (frame := buffer.take(None, None)) is not None:
        rest.append((frame.track, frame.data))
    assert rest == model


@given(_steps())
def test_whatever_way_it_is_read_each_byte_comes_once_and_in_its_order(steps: list[tuple[str, str, int]]) -> None:
    """Exact numbers of bytes, too: what is left of a frame is the next one, and a wait that failed has taken nothing."""
    buffer = FrameBuffer(10_000, sample_rate=8000)
    put: dict[str, bytes] = dict.fromkeys(TRACKS, b"")
    got: dict[str, bytes] = dict.fromkeys(TRACKS, b"")
    for number, (kind, track, size) in enumerate(steps):
        if kind == "put":
            data = bytes([number]) * (2 * size)
            buffer.put(track, data, len(put[track]) / 16000, number)
            put[track] += data
        elif kind == "bytes" and number % 2:
            waiting = len(put[track]) - len(got[track])
            if waiting >= 2 * size:
                got[track] += buffer.read(track, 2 * size, 0)
            else:
                with pytest.raises(WaitTimeout):
                    buffer.read(track, 2 * size, 0)
        elif kind == "bytes":
            try:
                got[track] += b"".join(take_bytes(buffer, track, size, 0))
            except WaitTimeout:
                assert len(put[track]) - len(got[track]) < size
        else:
            try:
                frame = buffer.take(None if kind == "any" else track, 0)
            except WaitTimeout:
                assert put[track] == got[track]
                continue
            assert frame is not None
            assert round(frame.timestamp * 16000) == len(got[frame.track])
            got[frame.track] += frame.data
        assert all(put[each].startswith(got[each]) for each in TRACKS)
    buffer.end()
    for each in TRACKS:
        got[each] += buffer.read(each, 10_000, 0)
        assert buffer.read(each, 10_000, None) == b""
    assert got == put


def test_what_a_reader_gave_back_is_never_dropped_and_wakes_others() -> None:
    buffer = FrameBuffer(80, sample_rate=8000)
    for number in range(8):
        buffer.put("inbound", bytes([number]) * 10, number / 1600, number)
    with pytest.raises(WaitTimeout):
        buffer.read("inbound", 1000, 0.01)  # more than it can hold, so all that is there was in hand
    other = Background(buffer.read, "inbound", 100, PATIENCE)
    buffer.put("inbound", b"x" * 80, 1.0, 9)
    assert other.result() == b"".join(bytes([number]) * 10 for number in range(8)) + b"x" * 20
    rest = buffer.take("inbound", PATIENCE)
    assert rest is not None
    assert (rest.data, rest.sequence, buffer.dropped) == (b"x" * 60, 9, 0)
    first, second = (Background(buffer.read, "inbound", 10, PATIENCE) for _ in range(2))
    buffer.put("inbound", b"y" * 20, 2.0, 10)  # enough for both, in one frame
    assert first.result() + second.result() == b"y" * 20


@pytest.fixture(params=["at once", "at sleep", "in a chain"])
def made(request: pytest.FixtureRequest) -> Iterator[tuple[FrameBuffer, Loop]]:
    """A buffer, and the loop whose thread puts."""
    loop = Loop("test-frames", gather=0.002 if request.param == "in a chain" else 0.0)
    loop.start()
    if request.param == "at once":
        yield FrameBuffer(10**6, sample_rate=8000), loop
    else:
        yield FrameBuffer(10**6, sample_rate=8000, wakes=loop.wakes), loop
    loop.stop()


def test_each_frame_is_handed_out_once_and_whoever_waits_hears_of_the_end(made: tuple[FrameBuffer, Loop]) -> None:
    buffer, loop = made
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:

        def read() -> list[int]:
            return [frame.sequence or 0 for frame in iter(lambda: buffer.take(None, None), None)]

        readers = [Background(read) for _ in range(6)]
        for first in range(0, 3000, 3):
            loop.call_soon(_put, buffer, range(first + 1, first + 4))
        loop.call(buffer.end, timeout=PATIENCE)
        taken = [reader.result(PATIENCE) for reader in readers]
    finally:
        sys.setswitchinterval(before)
    assert sorted(number for each in taken for number in each) == list(range(1, 3001))
    assert all(each == sorted(each) for each in taken)


def test_whoever_wants_much_is_woken_for_much(made: tuple[FrameBuffer, Loop]) -> None:
    buffer, loop = made
    reader = Background(take_bytes, buffer, "inbound", 6, None)
    for number in range(1, 4):
        loop.call(_put, buffer, [number], timeout=PATIENCE)
    assert reader.result(PATIENCE) == [b"\1\1", b"\2\2", b"\3\3"]


def test_a_wait_that_was_over_takes_nothing_from_the_next(made: tuple[FrameBuffer, Loop]) -> None:
    buffer, loop = made
    for number in range(1, 30):
        with pytest.raises(WaitTimeout):
            Background(buffer.take, None, 0.001).result()
        loop.call(_put, buffer, [number], timeout=PATIENCE)
        frame = Background(buffer.take, None, PATIENCE).result()
        assert frame is not None
        assert frame.sequence == number


def test_to_find_the_oldest_frame_of_two_tracks_raises_no_exception_on_the_way() -> None:
    buffer, called = FrameBuffer(10_000, sample_rate=8000), list[str]()
    for track in ("inbound", "outbound"):
        buffer.put(track, b"\0\0", 0.0, 1)
    sys.setprofile(lambda frame, event, _: called.append(frame.f_code.co_qualname) if event == "call" else None)
    try:
        buffer.take(None, None)
    finally:
        sys.setprofile(None)
    assert called.count("_Track.first") == 2
    assert not [name for name in called if "suppress" in name]


def _sleeping(thread: int | None) -> bool:
    frame = sys._current_frames().get(thread or 0)
    return frame is not None and frame.f_code is _Reader.sleep.__code__


def test_each_reader_wakes_the_next() -> None:
    """The loop wakes only the first: it then rests until all have been woken."""
    loop, over = Loop("test-frames", gather=0.004), threading.Event()

    def rest(began: float) -> None:
        loop._wake_one()
        over.wait()

    loop._rest = rest  # type: ignore[method-assign]
    buffers = [FrameBuffer(10**6, sample_rate=8000, wakes=loop.wakes) for _ in range(12)]
    taken: list[int] = []

    def read(number: int) -> None:
        assert buffers[number].take(None, None) is not None
        taken.append(number)
        with pytest.raises(WaitTimeout):
            buffers[number].take(None, 0.01)

    threads = [threading.Thread(target=read, args=(number,), daemon=True) for number in range(12)]
    for thread in threads:
        thread.start()
    until(lambda: all(_sleeping(thread.ident) for thread in threads))
    loop.call_soon(_put_all, buffers)
    loop.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(taken) == list(range(12))
    over.set()
    loop.stop()


@pytest.mark.parametrize("gather", [0.0, 0.004])
def test_one_reader_that_works_for_long_keeps_no_other_waiting(gather: float) -> None:
    loop = Loop("test-frames", gather=gather)
    loop.start()
    buffers = [FrameBuffer(10**6, sample_rate=8000, wakes=loop.wakes) for _ in range(12)]
    go = threading.Event()
    heard = [threading.Semaphore(0) for _ in buffers]

    def read(number: int) -> int:
        count = 0
        while buffers[number].take(None, None) is not None:
            count += 1
            heard[number].release()
            if number == 3:
                go.wait(PATIENCE)
        return count

    readers = [Background(read, number) for number in range(12)]
    for round_ in range(20):
        loop.call(_put_all, buffers, timeout=PATIENCE)
        for number, semaphore in enumerate(heard):
            if number != 3 or not round_:
                assert semaphore.acquire(timeout=PATIENCE), f"reader {number} was left asleep in round {round_}"
    go.set()
    loop.call(_end_all, buffers, timeout=PATIENCE)
    assert [reader.result(PATIENCE) for reader in readers] == [20] * 12
    loop.stop()


class _Raced(deque[Any]):
    """Frames of which another reader takes the first just before this one does."""

    def popleft(self) -> Any:
        super().popleft()
        return super().popleft()


def test_whoever_is_too_slow_for_one_track_gets_what_another_has() -> None:
    buffer = FrameBuffer(100, sample_rate=8000)
    buffer.put("inbound", b"\1\1", 0.0, 1)
    buffer.put("outbound", b"\2\2", 0.0, 2)
    buffer.end()
    buffer._tracks["inbound"].frames = _Raced(buffer._tracks["inbound"].frames)
    frame = buffer.take(None, None)
    assert frame is not None
    assert frame.sequence == 2
    assert buffer.take(None, None) is None


class _Watched(list[Any]):
    """Waiting readers: the first is held once it has been added, until it has been removed and a step has been made."""

    def __init__(self) -> None:
        self.added = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.removed = 0

    def append(self, value: Any) -> None:
        super().append(value)
        self.added.release()
        assert self.go_on.wait(PATIENCE)

    def remove(self, value: Any) -> None:
        super().remove(value)
        self.removed += 1
        if self.removed == 1:
            self.go_on.set()
            assert self.added.acquire(timeout=PATIENCE)  # it has taken the frame, and waits again


def test_a_reader_that_is_quicker_than_its_waking_is_woken_once(caplog: pytest.LogCaptureFixture) -> None:
    loop = Loop("test-frames")
    loop.start()
    buffer = FrameBuffer(10**6, sample_rate=8000, wakes=loop.wakes)
    buffer._sleepers = sleepers = _Watched()
    reader = Background(lambda: [frame.sequence for frame in buffer.frames("inbound")])
    assert sleepers.added.acquire(timeout=PATIENCE)
    for number in range(1, 4):
        loop.call(_put, buffer, [number], timeout=PATIENCE)
        assert len(sleepers) <= 1
    loop.call(buffer.end, timeout=PATIENCE)
    assert reader.result(PATIENCE) == [1, 2, 3]
    assert "failed" not in caplog.text
    loop.stop()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_loop_over_frames_ends_in_a_forked_child() -> None:
    buffer = FrameBuffer(10**6, sample_rate=8000)
    _put(buffer, [1, 2])
    frames = buffer.frames("inbound")
    next(frames)
    holds_in_child(lambda: raises_forked(lambda: next(frames)))
    assert next(frames).sequence == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_wait_for_a_frame_ends_in_a_child_that_a_signal_handler_forks() -> None:
    buffer = FrameBuffer(10**6, sample_rate=8000)
    children: list[int] = []

    def fork(*_: object) -> None:
        child = os.fork()
        if child:
            children.append(child)
            buffer.end()

    before = signal.signal(signal.SIGALRM, fork)
    parent, forked = os.getpid(), False
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert buffer.take("inbound", None) is None
    except Forked:
        forked = True
    finally:
        if os.getpid() != parent:
            os._exit(0 if forked else 1)
        signal.signal(signal.SIGALRM, before)
    assert exit_code(children[0]) == 0


def test_what_one_reader_takes_at_once_follows_one_another() -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(60):
            buffer = FrameBuffer(10**6, sample_rate=8000)
            for number in range(400):
                buffer.put("inbound", number.to_bytes(2, "big"), 0.0, number)
            buffer.end()

            def read(buffer: FrameBuffer = buffer) -> list[list[bytes]]:
                return list(iter(lambda: take_bytes(buffer, "inbound", 80, None), []))

            readers = [Background(read) for _ in range(3)]
            for taken in [piece for reader in readers for piece in reader.result(PATIENCE)]:
                numbers = [int.from_bytes(each, "big") for each in taken]
                assert numbers == list(range(numbers[0], numbers[0] + 40))
    finally:
        sys.setswitchinterval(before)


def _put(buffer: FrameBuffer, numbers: range | list[int]) -> None:
    for number in numbers:
        buffer.put("inbound", bytes([number % 256]) * 2, number / 50, number)


def _put_all(buffers: list[FrameBuffer]) -> None:
    for buffer in buffers:
        _put(buffer, [1])


def _end_all(buffers: list[FrameBuffer]) -> None:
    for buffer in buffers:
        buffer.end()


def test_a_frame_knows_what_it_is() -> None:
    buffer = FrameBuffer(100, sample_rate=16000)
    buffer.put("outbound", bytes(4), 1.5, None)
    assert buffer.take("outbound", 0) == AudioFrame(data=bytes(4), track="outbound", timestamp=1.5, sample_rate=16000)


def test_time_out_is_kept(made: tuple[FrameBuffer, Loop]) -> None:
    began = time.monotonic()
    with pytest.raises(WaitTimeout, match=r"no audio within 0\.05 s"):
        made[0].take(None, 0.05)
    assert time.monotonic() - began >= 0.05


def test_who_reads_is_told_the_timeout_that_was_given(made: tuple[FrameBuffer, Loop]) -> None:
    buffer = made[0]
    _put(buffer, [1])
    with pytest.raises(WaitTimeout, match=r"no audio within 0\.05 s"):
        buffer.read("inbound", 1000, 0.05)


def test_a_feed_has_each_frame_that_waits_or_comes_once_and_in_its_order() -> None:
    """A feed that is added while frames arrive continues where a reader of the buffer, or the former feed, has been."""
    made = FrameBuffer(10**9, sample_rate=8000, max_frames=10**6)
    going, stop = threading.Event(), threading.Event()

    def write() -> None:
        for number in range(1, 10**6):
            made.put("inbound" if number % 3 else "outbound", b"..", number, None)
            if number == 2000:
                going.set()
            if number % 50 == 0 and stop.wait(0.001):  # so that the reader can keep up
                return

    writing = Background(write)
    assert going.wait(20)
    first = made.take("inbound", 20)
    assert first is not None
    parts = []
    for count in (1400, *[10] * 50):
        feed = made.new_feed("inbound", bool)
        assert made.add_feed(feed)
        assert not made.add_feed(made.new_feed("inbound", bool))
        frames = feed.copies()
        parts.append((feed, frames, [next(frames).timestamp for _ in range(count)]))
        made.remove_feed(feed)
    stop.set()
    writing.result()
    whole = [first.timestamp]
    for feed, frames, heard in parts:
        feed.end()
        heard += [frame.timestamp for frame in frames]
        assert heard == sorted(set(heard))
        assert heard[0] >= whole[-1], "a frame that was on its way may be in both feeds"
        whole += heard
    assert list(dict.fromkeys(whole)) == [number for number in range(1, int(whole[-1]) + 1) if number % 3]


def test_a_feed_that_is_roused_loses_no_frame() -> None:
    made = FrameBuffer(10_000, sample_rate=8000)
    feed = made.new_feed("inbound", bool)
    made.add_feed(feed)
    for data in (b"\1\0", b"\2\0"):
        made.rouse_feeds()
        made.put("inbound", data, 0.0, 1)
    made.rouse_feeds()
    made.end()
    assert [frame.data for frame in feed.copies()] == [b"", b"\1\0", b"", b"\2\0", b""]
