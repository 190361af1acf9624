"""Whether websocket-client can be used here, and what to say if it cannot. Imports nothing of it."""

from __future__ import annotations

import importlib.util
import sys

from ..errors import ConnectError
from ..threads.descriptors import lack, without_descriptors

__all__ = ["check_library", "unusable"]


class _NoTls(ImportError):
    """Python's ssl cannot be imported."""


def check_library() -> None:
    """Look for what connecting needs, before it is imported.

    websocket-client is found without running what is found: a program called ``websocket.py`` would run once more.

    :raises ImportError: there is no such package, a single file has taken its name, or Python has no TLS.
    """
    try:
        import ssl  # noqa: F401
    except BaseException as error:  # another module of that name may do anything
        raise _NoTls(f"{type(error).__name__}: {error}") from error
    if "websocket" in sys.modules:
        return
    found = importlib.util.find_spec("websocket")
    if found is None:
        raise ImportError("no module named 'websocket' is installed")
    if found.submodule_search_locations is None:
        raise ImportError("'websocket' is a single file, not the package")


def unusable(error: BaseException) -> ConnectError:
    """What it means that the transport could not be imported."""
    if lack(error) is not None:
        return without_descriptors("the connection", error)
    if isinstance(error, _NoTls):
        place = _place("ssl")
        told = f"Python's module ssl, which websocket-client needs, cannot be imported ({error})"
        advice = f"The module ssl is {place}" if place else "This Python was built without it"
    else:
        place = _place("websocket")
        told = f"websocket-client cannot be imported ({type(error).__name__}: {error})"
        advice = "Install it: pip install websocket-client"
        if place:
            advice = f"The module websocket is {place}: if that is not websocket-client, rename it; else reinstall it"
    found = ConnectError(f"cannot connect: {told}. {advice}", fatal=True)
    found.__cause__ = error
    return found


def _place(name: str) -> str:
    """Where the module comes from that is, or would be, imported by a name; ``""`` where there is none."""
    loaded = sys.modules.get(name)
    try:
        found = getattr(loaded, "__spec__", None) or importlib.util.find_spec(name)
    except (ImportError, ValueError):
        found = None
    if found is not None:
        return found.origin or ", ".join(found.submodule_search_locations or ())
    return "" if loaded is None else str(getattr(loaded, "__file__", None) or "made by this program")
