"""TLS as a server of this machine's own names has it."""

from __future__ import annotations

import ssl

from tests.support import TLS


def tls_context() -> ssl.SSLContext:
    """A server's, with the certificate of the tests."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "cert.pem", TLS / "key.pem")
    return context
