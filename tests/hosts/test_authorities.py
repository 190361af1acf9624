"""TLS: nothing of it is left open."""

from __future__ import annotations

import gc
import os
import socket
import ssl
import struct

import pytest

from relay_sync.hosts.authorities import begin_tls


@pytest.mark.parametrize("name", ["localhost", None], ids=["client", "server"])
def test_a_connection_that_was_reset_before_its_tls_leaves_nothing_open(name: str | None) -> None:
    """Any warning of an unclosed socket is an error in this suite; Python 3.11 left one behind."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        theirs.close()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if name is None else ssl.PROTOCOL_TLS_CLIENT)
        descriptor = ours.fileno()
        with pytest.raises(OSError):
            begin_tls(context, ours, name)
        assert ours.fileno() == -1
        with pytest.raises(OSError):
            os.fstat(descriptor)
        gc.collect()
