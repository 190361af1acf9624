"""The harness itself: each fault is what it says, for plain sockets on both sides."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.faults.fault import (
    STORM,
    AfterBytes,
    AfterSeconds,
    AtConnection,
    Corrupt,
    Cut,
    Refuse,
    Shape,
    Stall,
    Step,
    random_faults,
)
from tests.support.faults.pipe import Pipe, apply_corruption
from tests.support.faults.proxy import FaultProxy
from tests.support.lines import line


class Far:
    """The server's side: takes connections, for the test to read from and write to."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(PATIENCE)
        self.port: int = self.listener.getsockname()[1]
        self.socks: list[socket.socket] = []

    def take(self) -> socket.socket:
        sock, _ = self.listener.accept()
        sock.settimeout(PATIENCE)
        self.socks.append(sock)
        return sock

    def close(self) -> None:
        for sock in (self.listener, *self.socks):
            sock.close()


class Wire:
    """A proxy with both ends of one connection through it."""

    def __init__(self, far: Far, proxy: FaultProxy) -> None:
        self.far_end, self.proxy = far, proxy
        self.near: list[socket.socket] = []
        self.client, self.server = self.another()

    def dial(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.proxy.port), timeout=PATIENCE)
        self.near.append(sock)
        return sock

    def another(self) -> tuple[socket.socket, socket.socket]:
        return self.dial(), self.far_end.take()

    def ends(self, way: str) -> tuple[socket.socket, socket.socket]:
        """Who sends and who receives in a direction."""
        return (self.client, self.server) if way == "up" else (self.server, self.client)


@pytest.fixture
def wire() -> Iterator[Wire]:
    far = Far()
    with FaultProxy(far.port) as proxy:
        wire = Wire(far, proxy)
        yield wire
        for sock in wire.near:
            sock.close()
    far.close()


def receive(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        assert more, f"the end after {data!r}"
        data += more
    return data


def is_silent(sock: socket.socket, seconds: float = 0.1) -> bool:
    """Whether nothing comes, not even an end."""
    before = sock.gettimeout()
    sock.settimeout(seconds)
    try:
        sock.recv(1)
    except TimeoutError:
        return True
    finally:
        sock.settimeout(before)
    return False


both_ways = pytest.mark.parametrize("way", ["up", "down"])


@both_ways
def test_without_faults_everything_passes(wire: Wire, way: str) -> None:
    sender, receiver = wire.ends(way)
    data = bytes(range(256)) * 4096  # more than the kernel keeps
    sending = Background(sender.sendall, data)
    assert receive(receiver, len(data)) == data
    sending.result()
    wire.proxy.wait_for(lambda: wire.proxy.passed(way) == len(data))
    sender.shutdown(socket.SHUT_WR)
    assert receiver.recv(1) == b""
    receiver.sendall(b"the other way is still open")
    assert receive(sender, 10) == b"the other "


def test_cut_with_a_fin_ends_both_sides_in_order(wire: Wire) -> None:
    wire.client.sendall(b"last words")
    assert receive(wire.server, 10) == b"last words"
    wire.proxy.cut("fin")
    assert wire.client.recv(1) == b""
    assert wire.server.recv(1) == b""
    wire.client.sendall(b"too late")  # and no reset for it
    wire.client.close()
    wire.server.close()
    wire.proxy.wait_for(lambda: wire.proxy.connections == 0)


def test_cut_with_a_reset(wire: Wire) -> None:
    wire.proxy.cut("reset")
    for sock in (wire.client, wire.server):
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
    assert wire.proxy.connections == 0


def test_a_silent_cut_tells_nobody(wire: Wire) -> None:
    wire.proxy.cut("silent")
    wire.client.sendall(b"x" * 1_000_000)  # never blocks
    wire.server.sendall(b"y")
    assert is_silent(wire.client)
    assert is_silent(wire.server)
    wire.client.close()
    assert is_silent(wire.server)  # nor of the end
    client, server = wire.another()
    client.sendall(b"new")
    assert receive(server, 3) == b"new"


def test_a_silent_cut_whose_ends_have_both_gone_is_forgotten(wire: Wire) -> None:
    wire.proxy.cut("silent")
    wire.client.close()
    wire.server.close()
    wire.proxy.wait_for(lambda: wire.proxy.connections == 0)


@both_ways
def test_a_stall_holds_one_direction_up_and_loses_nothing(wire: Wire, way: str) -> None:
    sender, receiver = wire.ends(way)
    wire.proxy.stall(way)
    sender.sendall(b"held")
    assert is_silent(receiver)
    receiver.sendall(b"free")
    assert receive(sender, 4) == b"free"
    wire.proxy.resume()
    assert receive(receiver, 4) == b"held"


def test_a_stall_makes_a_sender_wait_in_the_end(wire: Wire) -> None:
    wire.proxy.stall("up")
    wire.client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        wire.client.sendall(b"x" * 100_000_000)


def test_a_stall_may_end_by_itself_and_spares_new_connections(wire: Wire) -> None:
    wire.proxy.stall("both", seconds=0.1)
    wire.client.sendall(b"held")
    client, server = wire.another()
    client.sendall(b"free")
    assert receive(server, 4) == b"free"
    assert receive(wire.server, 4) == b"held"


@both_ways
def test_a_rate_slows_down(wire: Wire, way: str) -> None:
    sender, receiver = wire.ends(way)
    wire.proxy.shape(way, rate=1000)
    started = time.monotonic()
    sender.sendall(b"x" * 300)
    receive(receiver, 300)
    # Three tenths, the last of which has left when it is due.
    assert time.monotonic() - started >= 0.19


def test_segments_are_split(wire: Wire) -> None:
    wire.proxy.shape("down", segment=3)
    wire.server.sendall(b"abcdefghij")
    found = [wire.client.recv(100)]
    while sum(map(len, found)) < 10:
        found.append(wire.client.recv(100))
    assert b"".join(found) == b"abcdefghij"
    wire.proxy.wait_for(lambda: wire.proxy.passed("down") == 10)


def test_a_segment_is_one_write() -> None:
    near, source = socket.socketpair()
    sink, far = socket.socketpair()
    with near, source, sink, far:
        pipe = Pipe(source, sink, Shape(segment=3))
        near.sendall(b"abcdefgh")
        assert pipe.take(0.0, [])
        assert [pipe.give(0.0, None) for _ in range(3)] == [3, 3, 2]
        assert pipe.due() is None
        assert far.recv(100) == b"abcdefgh"


def test_what_was_sent_apart_arrives_together(wire: Wire) -> None:
    wire.proxy.shape("down", hold=0.2)
    for part in (b"ab", b"cd", b"ef"):
        wire.server.sendall(part)
        time.sleep(0.01)
    assert wire.client.recv(100) == b"abcdef"


def test_a_shape_is_taken_back_and_holds_for_new_connections(wire: Wire) -> None:
    wire.proxy.shape("up", hold=30)
    wire.client.sendall(b"a")
    client, server = wire.another()
    client.sendall(b"b")
    assert is_silent(wire.server)
    assert is_silent(server)
    wire.proxy.shape()
    assert receive(wire.server, 1) == b"a"
    assert receive(server, 1) == b"b"


@both_ways
def test_bytes_are_corrupted(wire: Wire, way: str) -> None:
    sender, receiver = wire.ends(way)
    wire.proxy.corrupt(way, skip=2, count=2, mask=0x01)
    sender.sendall(b"a")
    assert receive(receiver, 1) == b"a"
    sender.sendall(b"bbbb")
    assert receive(receiver, 4) == b"bccb"
    sender.sendall(b"d")
    assert receive(receiver, 1) == b"d"


def test_corruption_goes_on_over_reads() -> None:
    left = [Corrupt("up", 3, 4, 0xFF), Corrupt("up", 0, 1, 0x20)]
    out = b"".join(apply_corruption(bytes([byte]), left) for byte in b"abcdefghi")
    assert out == bytes([0x41, 0x62, 0x63, 0x9B, 0x9A, 0x99, 0x98, 0x68, 0x69])
    assert left == []


def test_new_connections_are_refused(wire: Wire) -> None:
    proxy = wire.proxy
    proxy.refuse("unreachable")
    with pytest.raises(ConnectionRefusedError):
        wire.dial()
    proxy.refuse("reset")
    with pytest.raises(ConnectionError):
        wire.dial().recv(1)
    proxy.refuse("fin")
    assert wire.dial().recv(1) == b""
    proxy.refuse("silent")
    hole = wire.dial()
    hole.sendall(b"is anybody there")
    assert is_silent(hole)
    proxy.refuse(None)
    client, server = wire.another()
    client.sendall(b"again")
    assert receive(server, 5) == b"again"
    wire.client.sendall(b"and the old one lives")
    assert receive(wire.server, 3) == b"and"


def test_a_refusal_may_end_by_itself(wire: Wire) -> None:
    wire.proxy.apply(Refuse("unreachable", seconds=0.1))
    wire.proxy.wait_for(lambda: wire.proxy._listener is not None)
    wire.another()


def test_a_script_cuts_in_the_midst_of_what_is_sent(wire: Wire) -> None:
    wire.proxy.run_script([Step(AfterBytes("up", 5), Cut("fin"))])
    wire.client.sendall(b"12345678")
    assert receive(wire.server, 5) == b"12345"
    assert wire.server.recv(10) == b""
    assert wire.proxy.script_left == 0


def test_a_script_goes_in_order(wire: Wire) -> None:
    wire.proxy.run_script(
        [
            Step(AfterSeconds(0.05), Corrupt("up", 0, 1)),
            Step(AfterBytes("up", 3), Stall("up")),
            Step(AtConnection(3), Cut("reset")),
        ]
    )
    wire.proxy.wait_for(lambda: wire.proxy.script_left == 2)
    wire.client.sendall(b"\x00abc")
    assert receive(wire.server, 3) == b"\xffab"
    assert is_silent(wire.server)
    client, server = wire.another()
    client.sendall(b"the second is not the third")
    assert receive(server, 3) == b"the"
    wire.another()
    with pytest.raises(ConnectionResetError):
        wire.server.recv(1)
    assert [type(one.fault) for one in wire.proxy.log] == [Corrupt, Stall, Cut]


def test_a_storm_is_the_same_for_the_same_seed() -> None:
    one, same, other = (list(itertools.islice(random_faults(seed), 200)) for seed in (7, 7, 8))
    assert one == same != other
    assert {type(fault) for _, fault in one} == {Cut, Stall, Shape, Corrupt, Refuse}
    with pytest.raises(ValueError, match="'hail' is no kind"):
        next(random_faults(1, kinds=("hail",)))


def test_a_storm_blows_until_it_is_calm(wire: Wire) -> None:
    wire.proxy.storm(3, every=(0.0, 0.01), kinds=tuple(kind for kind in STORM if kind != "refuse"))
    wire.proxy.wait_for(lambda: len(wire.proxy.log) > 50)
    wire.proxy.calm()
    count = len(wire.proxy.log)
    client, server = wire.another()
    client.sendall(b"calm")
    assert receive(server, 4) == b"calm"
    assert len(wire.proxy.log) == count


def test_nonsense_is_refused() -> None:
    for wrong in (lambda: Cut("politely"), lambda: Stall("sideways"), lambda: Refuse("never"), lambda: Corrupt("both")):
        with pytest.raises(ValueError, match="="):
            wrong()


def test_a_server_that_is_gone_looks_gone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with FaultProxy(port) as proxy:

        def look() -> None:
            with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE) as sock:
                sock.recv(1)

        with pytest.raises(ConnectionError):  # refused or reset, as fast as the proxy is
            look()


def test_the_proxy_ends_with_everything_it_has(wire: Wire) -> None:
    wire.proxy.close()
    wire.proxy.close()
    with pytest.raises(ConnectionResetError):
        wire.client.recv(1)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("faults-proxy")]


def test_a_client_and_a_simulator_meet_through_it(sim: Simulator) -> None:
    with FaultProxy(sim.port) as proxy, line(sim, **proxy.through(sim)) as one:
        assert proxy.accepted == 1
        assert one.call.hangup()["code"] == "200"
        assert proxy.passed("up") > 100
