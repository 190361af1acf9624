"""TLS: nothing of it is left open."""

from __future__ import annotations

import gc
import os
import socket
import ssl
import struct

import pytest

from relay_sync.hosts.authorities import begin_tls, system_only
from tests.support.tls import CERTIFICATE


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


def test_the_authorities_of_the_system_do_not_depend_on_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether there are any depends on the machine."""
    before = system_only()
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(name, str(CERTIFICATE))
    monkeypatch.setenv("SSL_CERT_DIR", str(CERTIFICATE.parent))
    after = system_only()
    assert (before is None) == (after is None)
    if before is not None and after is not None:
        assert before.cert_store_stats() == after.cert_store_stats()
        assert after.verify_mode is ssl.CERT_REQUIRED
        assert after.check_hostname
