"""Ports of loopback that nobody listens on, and that no other program is given meanwhile.

A port that was let go may become the local port of the next connection that anybody makes, on another test's behalf.
"""

from __future__ import annotations

import socket

__all__ = ["hold_port"]


def hold_port(port: int = 0) -> socket.socket:
    """A socket that is bound to a port and does not listen: connections are refused, and listeners that reuse addresses start.

    :param port: which; 0 takes any.
    """
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    return sock
