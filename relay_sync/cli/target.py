"""Load a client specified as ``module:client`` or ``module:function()``."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from ..client.client import RelayClient
from ..client.run import loading
from ..errors import InvalidParameter
from .mistakes import BrokenProgram, Mistake, Unsuccessful, WrongConfiguration

__all__ = ["load_client"]

_LONGEST = 3500  # Maximum number of characters of a traceback. The beginning is cut off.
_FORMS = "module:client, such as app:client, or module:function() for a function that returns a client"


def load_client(target: str, *, quiet: bool = False) -> RelayClient:
    """Import a module and return its client. The working directory is on the import path, as with ``python -m``.

    :param target: ``module:client`` or ``module:function()``.
    :param quiet: whether to include the traceback of an exception in the error message instead of printing it.
    :raises Mistake: ``target`` is malformed, or the module or attribute does not exist.
    :raises WrongConfiguration: the program passes an invalid parameter to relay_sync, or runs the client on import.
    :raises Unsuccessful: the program raised another exception, and the traceback was printed.
    :raises BrokenProgram: the program raised another exception, and ``quiet`` is set.
    """
    name, _, path = target.partition(":")
    called = path.endswith("()")
    path = path.removesuffix("()")
    if not path or not all(part.isidentifier() for part in (*name.split("."), *path.split("."))):
        raise Mistake.invalid("TARGET", repr(target), _FORMS)
    with _refusing_run(target):
        return _found(target, name, path, called, quiet)


@contextmanager
def _refusing_run(target: str) -> Iterator[None]:
    """Raise an error if the program runs its client on import. The command must run the client with its own options."""
    why = (
        f"{target}: the program runs its client on import; put client.run() below "
        'if __name__ == "__main__": because this command runs the client'
    )
    token = loading.set(lambda: WrongConfiguration(why))
    try:
        yield
    finally:
        loading.reset(token)


def _found(target: str, name: str, path: str, called: bool, quiet: bool) -> RelayClient:
    found: Any = _module(name, target, quiet)
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise Mistake("TARGET", f"{name} has no {path!r}") from None
    if called or (callable(found) and not isinstance(found, RelayClient)):
        found = _call(found, target, quiet)
    if not isinstance(found, RelayClient):
        raise Mistake("TARGET", f"{target} is a {type(found).__name__}, not a RelayClient: expected {_FORMS}")
    return found


def _module(name: str, target: str, quiet: bool) -> ModuleType:
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name is not None and (name == missing.name or name.startswith(f"{missing.name}.")):
            raise Mistake("TARGET", f"there is no module {missing.name!r} here or on the import path") from None
        raise _broken(target, missing, quiet=quiet) from missing
    except WrongConfiguration:
        raise
    except Exception as error:
        raise _broken(target, error, quiet=quiet) from error


def _call(factory: Any, target: str, quiet: bool) -> object:
    try:
        return factory()
    except WrongConfiguration:
        raise
    except Exception as error:
        raise _broken(target, error, quiet=quiet) from error


def _broken(target: str, error: Exception, *, quiet: bool) -> Unsuccessful:
    if isinstance(error, InvalidParameter):
        return WrongConfiguration.of(error, f"{target}: ")
    # The error is in the user's code. Show the traceback.
    if quiet:
        return BrokenProgram(f"{target} could not be loaded:\n{traceback.format_exc()[-_LONGEST:].rstrip()}")
    traceback.print_exc()
    return Unsuccessful(f"{target} could not be loaded (see above)")
