"""``module:attribute``: the client that a command is told to run."""

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

_LONGEST = 3500  # characters of a traceback that are reported: its end
_FORMS = "module:client, or module:function() for a function that makes one, such as app:client"


def load_client(target: str, *, quiet: bool = False) -> RelayClient:
    """The client that the text names. The working directory is importable, as with ``python -m``.

    :param quiet: print nothing; the traceback of a broken program is in the error.
    :raises Mistake: there is no such thing.
    :raises WrongConfiguration: a client or a server in it is made with a value that cannot be right.
    :raises Unsuccessful: its module raised anything else; the traceback was printed.
    :raises BrokenProgram: likewise, with *quiet*.
    """
    name, _, path = target.partition(":")
    called = path.endswith("()")
    path = path.removesuffix("()")
    if not path or not all(part.isidentifier() for part in (*name.split("."), *path.split("."))):
        raise Mistake("TARGET", f"{target!r} is not of the form {_FORMS}")
    with _refusing_run(target):
        return _found(target, name, path, called, quiet)


@contextmanager
def _refusing_run(target: str) -> Iterator[None]:
    """A program that runs its client while it is imported would run it before the command does, and without what it was told."""
    why = (
        f"{target}: the program runs its client while it is imported; put client.run() below "
        'if __name__ == "__main__": since the command runs the client itself'
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
        raise Mistake("TARGET", f"{target} is a {type(found).__name__}, not a RelayClient: give {_FORMS}")
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
    # What went wrong is in the user's own code: the whole of it helps, a line does not.
    if quiet:
        return BrokenProgram(f"{target} could not be loaded:\n{traceback.format_exc()[-_LONGEST:].rstrip()}")
    traceback.print_exc()
    return Unsuccessful(f"{target} could not be loaded: see above")
