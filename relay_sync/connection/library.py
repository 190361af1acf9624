"""Check whether websocket-client can be imported, and explain why if it cannot."""

from __future__ import annotations

import importlib.util
import sys

from ..errors import ConnectError
from ..threads.descriptors import lack, without_descriptors

__all__ = ["check_library", "unusable"]


class _NoTls(ImportError):
    """Python's ``ssl`` module cannot be imported."""


def check_library() -> None:
    """Check that ``ssl`` and websocket-client are available.

    This function locates websocket-client without importing it. If the program itself is named ``websocket.py``, an import would
    run it a second time.

    :raises ImportError: the package is not installed, ``websocket`` is a single file, or Python was built without TLS.
    """
    try:
        import ssl  # noqa: F401
    except BaseException as error:  # an unrelated module with the same name may raise any exception
        raise _NoTls(f"{type(error).__name__}: {error}") from error
    if "websocket" in sys.modules:
        return
    found = importlib.util.find_spec("websocket")
    if found is None:
        raise ImportError("the module 'websocket' is not installed")
    if found.submodule_search_locations is None:
        raise ImportError("'websocket' is a single file, not the package")


def unusable(error: BaseException) -> ConnectError:
    """Return the exception to raise if the transport cannot be imported."""
    if lack(error) is not None:
        return without_descriptors("the connection", error)
    if isinstance(error, _NoTls):
        place = _place("ssl")
        problem = f"Python's ssl module cannot be imported ({error}); websocket-client requires it"
        advice = f"The ssl module found is {place}" if place else "This Python was built without ssl"
    else:
        place = _place("websocket")
        problem = f"websocket-client cannot be imported ({type(error).__name__}: {error})"
        advice = "Install it: pip install websocket-client"
        if place:
            advice = f"The websocket module found is {place}: if that is not websocket-client, rename it; otherwise reinstall it"
    found = ConnectError(f"cannot connect: {problem}. {advice}", fatal=True)
    found.__cause__ = error
    return found


def _place(name: str) -> str:
    """Return a module's location, whether or not it has been imported, or ``""`` if there is no such module."""
    loaded = sys.modules.get(name)
    try:
        found = getattr(loaded, "__spec__", None) or importlib.util.find_spec(name)
    except (ImportError, ValueError):
        found = None
    if found is not None:
        return found.origin or ", ".join(found.submodule_search_locations or ())
    return "" if loaded is None else str(getattr(loaded, "__file__", None) or "created by this program")
