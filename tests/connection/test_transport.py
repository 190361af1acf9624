"""websocket-client fed with bytes: the same messages and ends as the stock class gives, and none of its waits."""

from __future__ import annotations

import itertools
import logging
import os
import socket
import struct
import tracemalloc
from collections.abc import Iterable, Iterator

import pytest
import websocket
from attrs import frozen
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from relay_sync.connection import transport as module
from relay_sync.connection.transport import Broken, FedWebSocket

steady = settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
LIMIT = 1 << 20


@frozen
class Frame:
    """A frame as a server may send it, valid or not; written by hand, without any library."""

    payload: bytes = b""
    opcode: int = TEXT
    fin: bool = True
    reserved: int = 0
    masked: bool = False
    length_bytes: int = 0  # 0: the shortest form

    def __bytes__(self) -> bytes:
        size = len(self.payload)
        long_form = self.length_bytes or (0 if size < 126 else 2 if size < 65536 else 8)
        mask = 0x80 if self.masked else 0
        head = bytes([self.fin << 7 | self.reserved << 4 | self.opcode])
        if long_form == 0:
            head += bytes([mask | size])
        elif long_form == 2:
            head += bytes([mask | 126]) + struct.pack("!H", size)
        else:
            head += bytes([mask | 127]) + struct.pack("!Q", size)
        if not self.masked:
            return head + self.payload
        key = b"\x01\x80\xff\x5a"
        return head + key + bytes(byte ^ key[index % 4] for index, byte in enumerate(self.payload))


def wire(frames: Iterable[Frame]) -> bytes:
    return b"".join(bytes(frame) for frame in frames)


def text(value: str, **options: bool) -> Frame:
    return Frame(value.encode(), **options)


def read_sent(data: bytes) -> list[tuple[int, bytes]]:
    """What a client wrote: opcodes and payloads. Every frame of a client is whole and masked."""
    found = []
    while data:
        assert data[0] & 0xF0 == 0x80
        assert data[1] & 0x80
        size, start = data[1] & 0x7F, 2
        if size == 126:
            (size,), start = struct.unpack("!H", data[2:4]), 4
        elif size == 127:
            (size,), start = struct.unpack("!Q", data[2:10]), 10
        key, payload = data[start : start + 4], data[start + 4 : start + 4 + size]
        found.append((data[0] & 0x0F, bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))))
        data = data[start + 4 + size :]
    return found


class Fed:
    """A fed WebSocket and everything that came out of it."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.socket = FedWebSocket(limit)
        self.messages: list[str] = []
        self.broken: Broken | None = None

    def feed(self, *pieces: bytes) -> Fed:
        for piece in pieces:
            if self.broken is None:
                messages, self.broken = self.socket.feed(piece)
                self.messages += messages
        return self

    @property
    def sent(self) -> list[tuple[int, bytes]]:
        return read_sent(b"".join(self.socket.outbox))


def fed(frames: Iterable[Frame], limit: int = LIMIT) -> Fed:
    return Fed(limit).feed(wire(frames))


# -- the stock class says the same -------------------------------------------------------------------------------------


@frozen
class Seen:
    """What can be told apart from outside."""

    messages: list[str]
    ended: bool
    sent: list[tuple[int, bytes]]


def stock(data: bytes) -> Seen:
    """What websocket-client itself makes of the same bytes, over a real socket."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(10)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        parser = websocket.WebSocket(enable_multithread=False, skip_utf8_validation=False)
        parser.sock = ours
        messages = []
        ended = False
        try:
            while True:
                opcode, payload = parser.recv_data()
                if opcode == CLOSE:
                    ended = True
                    break
                if opcode == TEXT:
                    messages.append(payload.decode())
        except websocket.WebSocketConnectionClosedException:
            pass  # the bytes are used up
        except Exception:
            ended = True
        if ours.fileno() >= 0:
            ours.shutdown(socket.SHUT_WR)
        theirs.settimeout(10)
        sent = b"".join(iter(lambda: theirs.recv(65536), b""))
    return Seen(messages, ended, read_sent(sent))


PAYLOADS = st.one_of(
    st.text(max_size=20).map(str.encode),
    st.binary(max_size=20),
    st.sampled_from(
        [b"", b"\xc3\xa4", b"\xc3", b"\xa4", b"\xed\xa0\x80", b"\xf5", b"x" * 125, b"y" * 126, b"z" * 70000]
    ),
)
CLOSES = st.builds(
    lambda code, reason: struct.pack("!H", code) + reason,
    st.sampled_from([0, 999, 1000, 1001, 1004, 1005, 1006, 1007, 1011, 1015, 2999, 3000, 4999, 5000, 65535]),
    st.sampled_from([b"", b"bye", b"\xff", b"r" * 123]),
)
MESSAGES = st.lists(st.text(max_size=10).map(str.encode), min_size=1, max_size=4).map(
    lambda parts: [
        Frame(part, opcode=CONT if index else TEXT, fin=index == len(parts) - 1) for index, part in enumerate(parts)
    ]
)
CONTROLS = st.builds(Frame, st.binary(max_size=20), opcode=st.sampled_from([PING, PONG]))
ANY_FRAMES = st.one_of(
    st.builds(
        Frame,
        PAYLOADS,
        opcode=st.sampled_from([CONT, TEXT, TEXT, BINARY, PING, PONG, 3, 11]),
        fin=st.sampled_from([True, True, False]),
        reserved=st.sampled_from([0, 0, 0, 0, 0, 1, 4]),
        masked=st.sampled_from([False, False, True]),
        length_bytes=st.sampled_from([0, 0, 8]),
    ),
    st.builds(Frame, CLOSES | st.sampled_from([b"", b"x", b"c" * 126]), opcode=st.just(CLOSE)),
)
FRAMES = st.lists(
    st.one_of(MESSAGES, MESSAGES, CONTROLS.map(lambda frame: [frame]), ANY_FRAMES.map(lambda frame: [frame]))
).map(lambda groups: [frame for group in groups for frame in group])


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@settings(steady, max_examples=120)
@given(FRAMES, st.lists(st.integers(0, 10**6), max_size=5))
@example([Frame(b"\xc3", fin=False), Frame(b"\xa4", opcode=CONT)], [3])
@example([Frame(b"a", fin=False), Frame(b"p", opcode=PING), Frame(b"b", opcode=CONT)], [])
@example([Frame(b"a", fin=False), Frame(b"b")], [])
@example([Frame(b"a", opcode=CONT)], [])
@example([Frame(b"a", opcode=BINARY, fin=False), Frame(b"\xff", opcode=CONT), Frame(b"t")], [])
@example([Frame(b"a", fin=False), Frame(b"1000", opcode=CLOSE)], [])
@example([Frame(b"p", opcode=PING, fin=False)], [])
@example([Frame(b"p" * 126, opcode=PING)], [])
def test_the_stock_class_sees_the_same(frames: list[Frame], places: list[int]) -> None:
    compare(frames, places)


@pytest.mark.slow
@settings(steady, max_examples=1500)
@given(FRAMES, st.lists(st.integers(0, 10**6)))
def test_the_stock_class_sees_the_same_at_length(frames: list[Frame], places: list[int]) -> None:
    compare(frames, places)


def compare(frames: list[Frame], places: list[int]) -> None:
    data = wire(frames)
    expected = stock(data)
    found = Fed().feed(*cut(data, places))
    assert found.messages == expected.messages
    assert (found.broken is not None) is expected.ended
    # Beyond what the stock class answers, we say why we go.
    assert found.sent[: len(expected.sent)] == expected.sent
    assert [opcode for opcode, _ in found.sent[len(expected.sent) :]] in ([], [CLOSE])


@settings(steady, max_examples=80)
@given(st.binary(max_size=300), st.lists(st.integers(0, 10**6), max_size=5))
def test_bytes_at_random_end_or_starve_as_they_do_there(data: bytes, places: list[int]) -> None:
    found = Fed().feed(*cut(data, places))
    expected = stock(data)
    if found.broken is not None and "at most" in found.broken.reason:
        return  # the stock class knows no limit, and waits
    assert found.messages == expected.messages
    assert (found.broken is not None) is expected.ended


@settings(steady, max_examples=50)
@given(st.lists(st.text(max_size=200), max_size=10))
def test_byte_by_byte_is_the_same_as_all_at_once(values: list[str]) -> None:
    data = wire(map(text, values))
    assert Fed().feed(*(bytes([byte]) for byte in data)).messages == values
    assert Fed().feed(data).messages == values


# -- control frames ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [b"", b"hello", bytes(range(125))])
def test_a_ping_is_answered_with_its_payload(payload: bytes) -> None:
    found = fed([Frame(payload, opcode=PING), text("after")])
    assert found.sent == [(PONG, payload)]
    assert found.messages == ["after"]


def test_a_ping_between_fragments_is_answered_and_the_message_goes_on() -> None:
    found = fed([text("a", fin=False), Frame(b"p", opcode=PING), Frame(b"b", opcode=CONT)])
    assert found.sent == [(PONG, b"p")]
    assert found.messages == ["ab"]


def test_a_pong_is_no_message() -> None:
    found = fed([Frame(b"x", opcode=PONG)])
    assert (found.messages, found.broken, found.sent) == ([], None, [])


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "the server closed the connection"),
        (struct.pack("!H", 1001), "the server closed the connection (code 1001)"),
        (struct.pack("!H", 1001) + b"restart", "the server closed the connection (code 1001: restart)"),
        (struct.pack("!H", 4000) + b"a\r\nb", "the server closed the connection (code 4000)"),
        (struct.pack("!H", 1000) + b"\xff\xfe", "the server closed the connection (code 1000: \ufffd\ufffd)"),
    ],
)
def test_a_close_is_answered_and_told(payload: bytes, reason: str) -> None:
    found = fed([text("before"), Frame(payload, opcode=CLOSE), text("after")])
    assert found.messages == ["before"]
    assert found.broken == Broken(reason, refused="4000" in reason)
    assert found.sent == [(CLOSE, struct.pack("!H", 1000))]


def test_frames_of_a_server_may_be_masked() -> None:
    """A server must not mask; the stock class takes it, and so do we."""
    assert fed([Frame(b"hello", masked=True), text("plain")]).messages == ["hello", "plain"]


def test_binary_messages_are_no_text() -> None:
    found = fed([Frame(b"\xff\x00", opcode=BINARY), text("text")])
    assert (found.messages, found.broken) == (["text"], None)


# -- what breaks it ----------------------------------------------------------------------------------------------------

GOOD = [text("one"), text("two", fin=False), Frame(b"!", opcode=CONT)]


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (Frame(b"\xff"), 1007),
        (Frame(b"\xed\xa0\x80"), 1007),
        (Frame(b"\xc3"), 1007),
        (Frame(b"\xff", masked=True), 1007),
        (Frame(b"x", reserved=4), 1002),
        (Frame(b"x", opcode=3), 1002),
        (Frame(b"x", opcode=15), 1002),
        (Frame(b"x", opcode=CONT), 1002),
        (Frame(b"x", opcode=PING, fin=False), 1002),
        (Frame(b"x" * 126, opcode=PING), 1002),
        (Frame(b"x", opcode=CLOSE), 1002),
        (Frame(struct.pack("!H", 1005), opcode=CLOSE), 1002),
        (Frame(b"x" * 5000), 1009),
        (Frame(b"x" * 5000, opcode=PONG), 1009),
    ],
)
@pytest.mark.parametrize("apart", [False, True])
def test_nothing_decoded_before_an_error_is_lost(bad: Frame, code: int, apart: bool) -> None:
    pieces = [wire(GOOD), bytes(bad)]
    found = Fed(limit=4096).feed(*(pieces if apart else [b"".join(pieces)]))
    assert found.messages == ["one", "two!"]
    assert found.broken is not None
    assert found.sent[-1] == (CLOSE, struct.pack("!H", code))


def test_text_that_is_invalid_across_fragments_ends_it_at_the_end_of_the_message() -> None:
    good = [Frame(b"\xc3", fin=False), Frame(b"\xa4", opcode=CONT)]
    assert fed(good).messages == ["\u00e4"]
    bad = [text("before"), Frame(b"\xc3", fin=False), Frame(b"x", opcode=CONT)]
    found = fed(bad)
    assert found.messages == ["before"]
    assert found.broken == Broken("the server sent a text message that is not UTF-8")
    assert found.sent == [(CLOSE, struct.pack("!H", 1007))]


def test_a_reason_tells_nothing_of_the_content() -> None:
    for bad in (Frame(b"hunter2\xff"), Frame(b"hunter2", opcode=3), Frame(b"hunter2", reserved=1)):
        found = fed([bad])
        assert found.broken is not None
        assert "hunter2" not in found.broken.reason


def test_after_the_end_nothing_more_comes_out() -> None:
    connection = FedWebSocket(LIMIT)
    _, broken = connection.feed(wire([Frame(b"", opcode=CLOSE)]))
    assert broken is not None
    answered = list(connection.outbox)
    for _ in range(2):
        assert connection.feed(wire([text("late")])) == ([], broken)
    assert connection.outbox == answered


# -- limits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [4095, 4096])
def test_a_message_up_to_the_limit_is_taken(size: int) -> None:
    assert fed([Frame(b"x" * size)], limit=4096).messages == ["x" * size]
    parts = [Frame(b"x" * 1000, fin=False), Frame(b"x" * (size - 1000), opcode=CONT)]
    assert fed(parts, limit=4096).messages == ["x" * size]


@pytest.mark.parametrize("size", [4097, 1 << 31, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
@pytest.mark.parametrize("opcode", [TEXT, BINARY, CONT, PING, CLOSE])
def test_the_announced_size_is_judged_before_anything_is_kept(size: int, opcode: int) -> None:
    found = Fed(limit=4096).feed(wire([text("before")]) + bytes([0x80 | opcode, 127]) + struct.pack("!Q", size))
    assert found.messages == ["before"]
    assert found.broken is not None
    assert "at most 4096" in found.broken.reason
    assert found.sent == [(CLOSE, struct.pack("!H", 1009))]


def test_a_message_in_fragments_may_not_be_larger_than_one_in_one() -> None:
    parts = [Frame(b"x" * 4000, fin=False), Frame(b"x" * 90, opcode=CONT, fin=False), Frame(b"x" * 7, opcode=CONT)]
    found = fed(parts, limit=4096)
    assert found.broken is not None
    assert found.sent == [(CLOSE, struct.pack("!H", 1009))]


def test_a_message_may_not_come_in_too_many_fragments() -> None:
    def parts(count: int) -> Iterator[Frame]:
        yield Frame(b"", fin=False)
        for _ in range(count - 2):
            yield Frame(b"x", opcode=CONT, fin=False)
        yield Frame(b"x", opcode=CONT)

    assert fed(parts(1000)).messages == ["x" * 999]
    found = fed(parts(1001))
    assert found.broken is not None
    assert "too many fragments" in found.broken.reason


def test_the_limits_are_those_of_one_message() -> None:
    parts = [Frame(b"x" * 2000, fin=False), Frame(b"x" * 2000, opcode=CONT)]
    found = fed(parts * 600, limit=4096)
    assert found.broken is None
    assert len(found.messages) == 600
    binary = [Frame(b"x" * 2000, opcode=BINARY, fin=False), Frame(b"x" * 2000, opcode=CONT)]
    assert fed(binary * 600, limit=4096).broken is None


def test_whether_a_message_goes_on_is_known() -> None:
    whole, begin, end = Fed(), bytes(Frame(b"a", fin=False)), bytes(Frame(b"b", opcode=CONT))
    steps = [
        b"",
        bytes(text("short")),
        bytes(Frame(b"", opcode=PING)),
        begin,
        bytes(Frame(b"", opcode=PING)),
        end,
        end[:1],
    ]
    assert [whole.feed(step).socket.unfinished for step in steps] == [False, False, False, True, True, False, True]
    assert whole.messages == ["short", "ab"]


def test_no_more_is_kept_than_has_come() -> None:
    connection = FedWebSocket(10 << 20)
    tracemalloc.start()
    try:
        connection.feed(bytes([0x81, 127]) + struct.pack("!Q", 10 << 20) + b"x" * 1000)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_fragments_cost_in_proportion_to_their_bytes() -> None:
    """Joining each fragment to all before it would copy the message five hundred times."""
    size = 10 << 10
    frames = [Frame(b"x" * size, fin=False)]
    frames += [Frame(b"x" * size, opcode=CONT, fin=index == 998) for index in range(999)]
    connection = FedWebSocket(16 << 20)
    connection.feed(wire(frames[:-10]))
    peaks = []
    for frame in frames[-10:-1]:
        data = bytes(frame)
        tracemalloc.start()
        connection.feed(data)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # Now and then there is more room to be made, but not for each of them.
    assert min(peaks) < 10 * size
    assert connection.feed(bytes(frames[-1])) == (["x" * size * 1000], None)


# -- sending -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", ["", "x", "\u00e4\u20ac\U0001f4de", "y" * 125, "y" * 126, "z" * 65_535, "z" * 65_536, "z" * 70_000]
)
def test_text_is_sent_as_one_masked_frame(value: str) -> None:
    connection = FedWebSocket(LIMIT)
    connection.text_frame(value)
    assert read_sent(b"".join(connection.outbox)) == [(TEXT, value.encode())]


def test_masks_differ() -> None:
    connection = FedWebSocket(LIMIT)
    # More than are fetched from the system at once.
    for _ in range(3000):
        connection.text_frame("the same text")
    keys = {frame[2:6] for frame in connection.outbox}
    assert all(len(frame) == 2 + 4 + 13 for frame in connection.outbox)
    assert len(keys) > 2990


@pytest.fixture
def traced() -> Iterator[list[logging.LogRecord]]:
    """websocket-client's own tracing, which is one switch for the whole process."""
    records: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    logger = logging.getLogger("websocket")
    before = (logger.level, list(logger.handlers), list(logger.filters))
    websocket.enableTrace(True, handler=Keep())
    module._quieten()
    yield records
    websocket.enableTrace(False)
    logger.setLevel(before[0])
    logger.handlers[:], logger.filters[:] = before[1], before[2]


def test_the_library_s_own_tracing_shows_no_frame(traced: list[logging.LogRecord]) -> None:
    connection = FedWebSocket(LIMIT)
    connection.text_frame('{"token":"hunter2"}')
    connection.feed(wire([Frame(b"hunter2", masked=True), Frame(b"hunter2", opcode=PING)]))
    assert websocket._logging.isEnabledForTrace()
    assert not [record for record in traced if "hunter2" in record.getMessage()]
    logging.getLogger("websocket").warning("kept")
    assert [record.getMessage() for record in traced] == ["kept"]


def test_reading_and_writing_never_wait() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        connection = FedWebSocket(LIMIT)
        connection.sock = ours
        assert connection.read(100) is None
        theirs.sendall(b"abc")
        assert connection.read(100) == b"abc"
        pending = bytearray(os.urandom(1 << 16))
        while connection.write(pending):
            pass
        theirs.close()
        with pytest.raises(BrokenPipeError):
            connection.write(pending)
        assert connection.secure is False
        assert connection.holds_bytes is False
        connection.discard()
        assert ours.fileno() == -1


def test_the_end_of_a_socket_is_seen() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        connection = FedWebSocket(LIMIT)
        connection.sock = ours
        theirs.shutdown(socket.SHUT_WR)
        assert connection.read(100) == b""
