"""TLS as a server of this machine's own names has it."""

from __future__ import annotations

import ssl
from typing import Final

from tests.support import DATA

#: Of this machine's own names, signed by itself.
CERTIFICATE: Final = DATA / "tls" / "cert.pem"


def tls_context() -> ssl.SSLContext:
    """A server's, with the certificate of the tests."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, CERTIFICATE.with_name("key.pem"))
    return context
