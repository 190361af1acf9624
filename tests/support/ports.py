"""Ports of loopback that nobody listens on, and that no other program is given meanwhile.

A port that was let go may become the local port of the next connection that anybody makes, on another test's behalf.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

__all__ = ["hold_port", "hold_range", "needs_ipv6"]


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="needs IPv6")


def hold_port(port: int = 0) -> socket.socket:
    """A socket that is bound to a port and does not listen: connections are refused, and listeners that reuse addresses start.

    :param port: which; 0 takes any.
    """
    sock = socket.socket()
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
    except BaseException:
        sock.close()
        raise
    return sock


@contextmanager
def hold_range(count: int) -> Iterator[range]:
    """As many ports in a row, each held as by :func:`hold_port`, until the block ends."""
    with ExitStack() as stack:
        for _ in range(100):
            with ExitStack() as held:
                first = held.enter_context(hold_port()).getsockname()[1]
                try:
                    for port in range(first + 1, first + count):
                        held.enter_context(hold_port(port))
                except (OSError, OverflowError):  # in use, or past the last port
                    continue
                stack.push(held.pop_all())
                break
        else:
            raise AssertionError(f"no {count} free ports in a row")
        yield range(first, first + count)
