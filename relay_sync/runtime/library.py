"""Whether websocket-client can be used here, and what to say if it cannot. Imports nothing of it."""

from __future__ import annotations

import importlib.util
import sys

from ..errors import ConnectError

__all__ = ["check_library", "unusable"]


def check_library() -> None:
    """Look for websocket-client without running what is found: a program called ``websocket.py`` would run once more.

    :raises ImportError: there is no such package, or a single file has taken its name.
    """
    if "websocket" in sys.modules:
        return
    found = importlib.util.find_spec("websocket")
    if found is None:
        raise ImportError("no module named 'websocket' is installed")
    if found.submodule_search_locations is None:
        raise ImportError("'websocket' is a single file, not the package")


def unusable(error: BaseException) -> ConnectError:
    """What it means that the transport could not be imported."""
    found = ConnectError(
        f"nothing can be connected: websocket-client, or Python's ssl, cannot be imported "
        f"({type(error).__name__}: {error}). {_advice()}",
        fatal=True,
    )
    found.__cause__ = error
    return found


def _advice() -> str:
    place = _place()
    if place is None:
        return "Install it: pip install websocket-client"
    return (
        f"The module websocket is {place}: if that is not websocket-client, rename it; else reinstall websocket-client"
    )


def _place() -> str | None:
    """Where the module comes from that is, or would be, imported by the name of ``websocket``."""
    loaded = sys.modules.get("websocket")
    try:
        found = getattr(loaded, "__spec__", None) or importlib.util.find_spec("websocket")
    except (ImportError, ValueError):
        found = None
    if found is None:
        return None if loaded is None else str(getattr(loaded, "__file__", None) or "made by this program")
    return found.origin or ", ".join(found.submodule_search_locations or ()) or "made by this program"
