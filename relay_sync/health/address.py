"""Parse the address that the health server listens on."""

from __future__ import annotations

from typing import Final

from ..errors import InvalidParameter
from ..hosts.names import bracketed, is_name, literal, split_authority

__all__ = ["ACCEPTED", "HERE", "parse_address"]

#: Address to listen on if none is given.
HERE: Final = "127.0.0.1"
#: Description of the accepted values.
ACCEPTED: Final = "HOST:PORT, such as 0.0.0.0:9700 or [::1]:9700, or a port of 127.0.0.1, such as 9700"


def parse_address(text: str) -> tuple[str, int]:
    """Split ``HOST:PORT``. ``:PORT`` and ``PORT`` stand for a port of 127.0.0.1.

    :param text: the address. An IPv6 address is in brackets. Port 0 selects a free port.
    :return: host without brackets, and port.
    :raises InvalidParameter: the text has none of these forms.
    """
    authority = text if ":" in text else f":{text}"
    try:
        host, port = split_authority(f"{HERE}{authority}" if authority.startswith(":") else authority)
    except ValueError:
        port = None
    if port is None or (literal(bracketed(host)) is None and not is_name(host)):
        raise InvalidParameter("health", text, ACCEPTED)
    return host, port
