"""Voices and recognizers: found by name, and called with a time limit."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any, Final

from ..audio.sources import SPOKEN, spoken_chunks
from ..errors import InvalidParameter
from ..simulator.media.voice import TELEPHONE, Voice
from ..threads.starting import in_time

__all__ = ["CALL_LIMIT", "ScenarioFailed", "error_text", "load_function", "look_in", "synthesize"]

#: Seconds that a voice or recognizer may take for one sentence.
CALL_LIMIT: Final = 60.0
#: Longest audio of one sentence in seconds.
_LONGEST: Final = 300.0


class ScenarioFailed(Exception):
    """Raised inside this package when a scenario cannot continue. Its text is the reason."""


def look_in(folder: str | os.PathLike[str]) -> None:
    """Put the working directory on the import path, and a folder at its end.

    :param folder: the folder, such as the one of a scenario file.
    """
    here, beside = os.getcwd(), os.path.abspath(folder)
    if here not in sys.path:
        sys.path.insert(0, here)
    if beside not in sys.path:
        sys.path.append(beside)


def load_function(name: str, folder: str | os.PathLike[str]) -> Callable[..., Any]:
    """Import a function. The working directory and a folder are on the import path.

    :param name: ``module:callable``.
    :param folder: folder that is searched last.
    :raises LookupError: the module cannot be imported, or has no such function. The text of the error is a sentence.
    """
    look_in(folder)
    module, _, path = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the user's module may raise anything, such as SystemExit
        raise LookupError(f"{name} cannot be imported: {error_text(error)}") from error
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise LookupError(f"{module} has no {path!r}") from None
    if not callable(found):
        raise LookupError(f"{name} is not a function")
    return found  # type: ignore[no-any-return]


def synthesize(voice: Callable[[str], Any], text: str) -> Voice:
    """Turn text into a caller's speech.

    :param voice: the user's function. It returns what ``speak`` of a ``Conversation`` returns; PCM without a rate has 8000 Hz.
    :param text: the text.
    :raises ScenarioFailed: the function raised an exception, took too long, or returned something else.
    """
    try:
        pcm = in_time(lambda: _pcm_of(voice(text)), CALL_LIMIT, "relay-scenario-voice")
    except TimeoutError:
        raise ScenarioFailed(f"the voice has not spoken {text[:60]!r} within {CALL_LIMIT:g} s") from None
    except InvalidParameter as wrong:
        raise ScenarioFailed(f"the voice returned the wrong thing for {text[:60]!r}: {wrong}") from wrong
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise ScenarioFailed(f"the voice failed for {text[:60]!r}: {error_text(error)}") from error
    if not pcm:
        raise ScenarioFailed(f"the voice returned no audio for {text[:60]!r}")
    return Voice(pcm)


def _pcm_of(what: Any) -> bytes:
    found = spoken_chunks("voice", what, TELEPHONE, TELEPHONE, f"a function that returns {SPOKEN}")
    return found if isinstance(found, bytes) else _joined(found)


def _joined(chunks: Iterable[bytes]) -> bytes:
    pcm = bytearray()
    for chunk in chunks:
        pcm += chunk
        if len(pcm) > _LONGEST * TELEPHONE * 2:
            raise InvalidParameter("voice", f"more than {_LONGEST:g} s of audio", f"up to {_LONGEST:g} s a sentence")
    return bytes(pcm)


def error_text(error: BaseException) -> str:
    """Return an exception's type and text, on one line.

    :param error: the exception.
    """
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__
