"""Messages taken straight out of a socket's bytes: what comes out must be what the protocol library makes of the same bytes."""

from __future__ import annotations

import itertools
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_sync.server.library import Frame, ServerProtocol, State, apply_mask, quiet_logger
from relay_sync.server.splitting import HELD, Splitter

LONGEST = 20_000


_UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def _protocol() -> ServerProtocol:
    protocol = ServerProtocol(max_size=LONGEST, logger=quiet_logger)
    protocol.receive_data(_UPGRADE)
    (request,) = protocol.events_received()
    protocol.send_response(protocol.accept(request))  # type: ignore[arg-type]  # the first event is the request
    assert protocol.state is State.OPEN
    return protocol


def _frame(first: int, payload: bytes, *, masked: bool = True, width: int | None = None) -> bytes:
    size = len(payload)
    width = width if width is not None else 0 if size < 126 else 2 if size < 65536 else 8
    code = {0: size, 2: 126, 8: 127}[width]
    head = bytes([first, code | (0x80 if masked else 0)]) + (size.to_bytes(width, "big") if width else b"")
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


def _events(protocol: ServerProtocol) -> list[tuple[int, bool, bytes]]:
    found = []
    for frame in protocol.events_received():
        assert isinstance(frame, Frame)
        found.append((int(frame.opcode), frame.fin, bytes(frame.data)))
    return found


def _plain(stream: bytes) -> tuple[list[tuple[int, bool, bytes]], State]:
    protocol = _protocol()
    protocol.receive_data(stream)
    return _events(protocol), protocol.state


def _split(chunks: list[bytes]) -> tuple[list[tuple[int, bool, bytes]], State, int]:
    protocol, splitter, found, quick = _protocol(), Splitter(LONGEST), [], 0
    head, size = b"", 0
    for chunk in chunks:
        if splitter.between and protocol.state is State.OPEN and len(chunk) == size and chunk[:4] == head:
            found.append((1, True, apply_mask(chunk[8:], chunk[4:8])))  # as a connection does
            quick += 1
            continue
        head, size = chunk[:4], splitter.size_of_text(chunk)
        for kind, part in splitter.split(chunk):
            if kind and protocol.state is State.OPEN:
                found.append((kind, True, bytes(part)))
                quick += 1
            elif not kind:
                protocol.receive_data(part)
                found += _events(protocol)
    return found, protocol.state, quick


def _cut(stream: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return [stream[start:end] for start, end in itertools.pairwise(places)]


_payloads = st.binary(max_size=300) | st.sampled_from([b"x" * 126, b"y" * 5000, b"z" * LONGEST])
_whole = st.tuples(st.sampled_from([0x81, 0x82]), _payloads).map(lambda each: _frame(*each))
_pings = st.binary(max_size=125).map(lambda payload: _frame(0x89, payload))
_fragments = st.tuples(st.sampled_from([0x01, 0x02]), st.binary(max_size=6000), st.binary(max_size=200), _pings).map(
    lambda each: _frame(each[0], each[1]) + each[3] + _frame(0x00, each[2]) + _frame(0x80, b"end")
)


@given(st.lists(_whole | _pings | _fragments, max_size=8), st.lists(st.integers(0, 10**6), max_size=12))
def test_however_it_is_cut_it_is_the_same(frames: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(frames)
    found, state, _ = _split(_cut(stream, cuts))
    assert (found, state) == _plain(stream)


@pytest.mark.parametrize(
    "odd",
    [
        _frame(0x81, b"not masked", masked=False),
        _frame(0xC1, b"compressed"),
        _frame(0x83, b"no such opcode"),
        _frame(0x80, b"a continuation of nothing"),
        _frame(0x81, b"x" * (LONGEST + 1)),
        _frame(0x01, b"begun, ") + _frame(0x81, b"and another"),
        _frame(0x01, b"begun, ") + _frame(0x00, b"gone on, ") + _frame(0x81, b"and another"),
        _frame(0x89, b"p" * 126, width=2),
        _frame(0x88, b"\x03\xe8bye") + _frame(0x81, b"after the end"),
    ],
    ids=[
        "unmasked",
        "rsv",
        "opcode",
        "continuation",
        "long",
        "interrupted",
        "interrupted later",
        "long ping",
        "closed",
    ],
)
def test_whatever_is_against_the_rules_is_judged_by_the_protocol(odd: bytes) -> None:
    stream = _frame(0x81, b"before") + odd + _frame(0x81, b"behind")
    for cuts in ([], [1, 2, 3], list(range(60)), [len(stream) - 1]):
        found, state, _ = _split(_cut(stream, cuts))
        assert (found, state) == _plain(stream)
        assert state is not State.OPEN
        assert (1, True, b"behind") not in found


def test_the_usual_frame_does_not_trouble_the_protocol() -> None:
    stream = b"".join(_frame(0x81, b"x" * 300) for _ in range(10))
    assert _split([stream])[2] == 10
    assert _split([stream[n : n + 7] for n in range(0, len(stream), 7)])[2] == 10  # in drips, too


@given(st.lists(_whole | _pings | _fragments, max_size=8))
def test_frame_by_frame_it_is_the_same(frames: list[bytes]) -> None:
    found, state, _ = _split(frames)
    assert (found, state) == _plain(b"".join(frames))


@pytest.mark.parametrize("length", [0, 125, 126, 300, LONGEST, LONGEST + 1, 65_535, 65_536])
def test_a_text_that_came_alone_has_a_size_if_that_is_usual(length: int) -> None:
    frame = _frame(0x81, b"x" * length)
    assert Splitter(LONGEST).size_of_text(frame) == (len(frame) if 126 <= length <= LONGEST else 0)
    for other in (frame[:-1], frame + b"x", b"\x01" + frame[1:], b"\x82" + frame[1:], frame[:7], b""):
        assert Splitter(LONGEST).size_of_text(other) == 0


def test_within_a_message_of_several_frames_no_message_begins() -> None:
    for before in (_frame(0x01, b"begun"), _frame(0x81, b"x" * 300)[:50], _frame(0x82, b"x" * 9000)[:5000]):
        splitter = Splitter(LONGEST)
        assert splitter.between
        list(splitter.split(before))
        assert not splitter.between


def test_what_waits_is_bounded() -> None:
    for size in (2 * HELD, 2**19):
        _check_what_waits(_frame(0x81, b"x" * size))


def _check_what_waits(stream: bytes) -> None:
    splitter = Splitter(2**20)
    given = [part for start in range(0, len(stream), 100) for _, part in splitter.split(stream[start : start + 100])]
    assert b"".join(given) == stream
    assert max(map(len, given)) <= HELD
    assert len(splitter._rest) == 0
