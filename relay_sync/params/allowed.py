"""Validation of the origins and host names that a server accepts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from ..errors import InvalidParameter
from ..hosts.origins import read_host, read_origin
from . import values

__all__ = ["check_hosts", "check_origins"]


def check_origins(value: Iterable[str], name: str = "origins") -> frozenset[str]:
    """Return the accepted origins in normalized form.

    :raises InvalidParameter: an item is not a valid origin.
    """
    accepted = "a list of origins such as 'https://app.example.com:8443' (or 'null'), without a path"
    return _each(name, value, read_origin, accepted)


def check_hosts(value: Iterable[str], name: str = "hosts") -> frozenset[str]:
    """Return the accepted host names in normalized form.

    :raises InvalidParameter: an item is not a valid host name.
    """
    return _each(name, value, read_host, "a list of host names such as 'dev.example.com', each with or without a port")


def _each(name: str, value: Any, read: Callable[[str], str | None], accepted: str) -> frozenset[str]:
    empty = isinstance(value, Collection) and not isinstance(value, (str, bytes)) and not value
    found = set()
    for text in [] if empty else values.texts(name, value, optional=False) or []:
        form = read(text)
        if form is None:
            raise InvalidParameter(name, text, accepted)
        found.add(form)
    return frozenset(found)
