"""Trusted certificate authorities and TLS setup."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from .names import bare
from .proxies import Unusable

if TYPE_CHECKING:
    import socket
    import ssl

_T = TypeVar("_T")

__all__ = ["begin_tls", "only", "system_only", "trust_variables", "trusting"]

_BUNDLES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_OPENSSL: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def trusting(ca_file: str | None) -> ssl.SSLContext:
    """Return a TLS context that verifies certificates and host names.

    By default, the context trusts the system's authorities. ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` replace OpenSSL's
    default files, as everywhere in Python. ``REQUESTS_CA_BUNDLE`` (or ``CURL_CA_BUNDLE`` if it is not set) replaces all
    authorities except those from ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``. If the system has no authorities, the context
    uses the certifi package's.

    :param ca_file: file with an additional authority to trust.
    :raises Unusable: one of these files cannot be read.
    """
    import ssl

    bundle = next((name for name in _BUNDLES if os.environ.get(name)), None)
    if bundle is None:
        context = ssl.create_default_context()
        if not trust_variables() and not _knows_authorities(context, ssl.get_default_verify_paths().capath):
            _add_certifi(context)
    else:
        context = _loaded(bundle, os.environ[bundle], ssl.create_default_context)
        for name in _OPENSSL:
            for path in os.environ.get(name, "").split(os.pathsep):
                if os.path.exists(path):  # OpenSSL ignores missing files
                    _loaded(name, path, context.load_verify_locations)
    if ca_file:
        _loaded("ca_file", ca_file, context.load_verify_locations)
    return context


def system_only() -> ssl.SSLContext | None:
    """Return a TLS context that trusts the system's authorities, whatever the environment says.

    :return: the context; ``None`` if the system has no authorities.
    """
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if os.name == "nt":
        context.load_default_certs()
        return context
    paths = ssl.get_default_verify_paths()
    file = paths.openssl_cafile if os.path.isfile(paths.openssl_cafile) else None
    folder = paths.openssl_capath if os.path.isdir(paths.openssl_capath) else None
    try:
        context.load_verify_locations(file, folder)
    except (OSError, TypeError):  # TypeError: neither exists
        return None
    return context if _knows_authorities(context, folder) else None


def only(path: str, *, name: str) -> ssl.SSLContext:
    """Return a TLS context that trusts the authorities in a file or directory, and no others.

    :param path: the file or directory.
    :param name: setting that contains the path, for error messages.
    :raises Unusable: it cannot be read.
    """
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _loaded(name, path, context.load_verify_locations)
    return context


def begin_tls(context: ssl.SSLContext, sock: socket.socket, server_hostname: str | None = None) -> ssl.SSLSocket:
    """Wrap a socket in TLS without performing the handshake. The socket must not be used again, even after an error.

    Wrapping fails if the peer has reset the connection. Python 3.11 then leaves the descriptor open in an object that
    only the traceback references. This function closes the descriptor.

    :param context: TLS context.
    :param sock: connected socket.
    :param server_hostname: host name to verify, or ``None`` on the server side.
    :raises OSError: the connection is closed.
    """
    import ssl

    # Names in certificates have no trailing dot.
    name = None if server_hostname is None else bare(server_hostname)
    try:
        return context.wrap_socket(sock, server_side=name is None, do_handshake_on_connect=False, server_hostname=name)
    except BaseException as error:
        sock.close()
        for frame, _ in traceback.walk_tb(error.__traceback__):
            lost = frame.f_locals.get("self")
            if isinstance(lost, ssl.SSLSocket):
                lost.close()
        raise


def trust_variables() -> tuple[str, ...]:
    """Return the names of all set environment variables that determine which authorities are trusted."""
    return tuple(name for name in (*_OPENSSL, *_BUNDLES) if os.environ.get(name))


def _loaded(name: str, path: str, load: Callable[..., _T]) -> _T:
    try:
        return load(capath=path) if os.path.isdir(path) else load(cafile=path)
    except OSError as error:  # SSLError is a subclass of OSError
        raise Unusable(f"{name}={path!r}: cannot read certificates from it ({error.strerror or error})") from error


def _knows_authorities(context: ssl.SSLContext, folder: str | None) -> bool:
    """Return whether a context has authorities.

    :param folder: directory that the context reads when a certificate is verified.
    """
    if context.cert_store_stats()["x509_ca"]:
        return True
    try:
        return folder is not None and bool(os.listdir(folder))
    except OSError:
        return False


def _add_certifi(context: ssl.SSLContext) -> None:
    try:
        import certifi
    except ImportError:
        return
    context.load_verify_locations(certifi.where())
