"""Parse a scenario file. :func:`parse` does no I/O; :func:`read` reads the file."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import frozen

from ..errors import InvalidParameter
from ..params import values
from ..text.wording import either
from .line_numbers import LineNumbers
from .scenario import FALLBACK_MATCH, FALLBACK_WITHIN, Scenario, ScenarioMistake, Step, is_file
from .words import words_of

__all__ = ["check_name", "parse", "read"]

#: Largest size of a file in bytes, most steps in it, and most characters of one text.
MOST_FILE: Final = 64 * 1024
MOST_STEPS: Final = 500
MOST_TEXT: Final = 2000
#: Longest time that a step may take or be delayed by, in seconds.
LONGEST: Final = 600.0
_KINDS: Final = ("says", "presses", "hears", "plays", "hangs_up", "ends")
_OPTIONS: Final = ("within", "match", "after")
_NAME: Final = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_TARGET: Final = re.compile(rf"{_NAME.pattern}(?:\(\))?")
_KEYS: Final = re.compile(r"[0-9*#A-D]{1,100}")
_AT: Final = re.compile(r" ?\(at (?:line (\d+), column \d+|end of document)\)$")


def read(path: str | os.PathLike[str]) -> Scenario:
    """Read a scenario file.

    :param path: path of the file.
    :raises ScenarioMistake: the file cannot be read, or is wrong.
    """
    name = os.fspath(path)
    try:
        with open(name, "rb") as file:  # Limit the size, because the file may be a device or a pipe.
            data = file.read(MOST_FILE + 1)
    except OSError as error:
        raise ScenarioMistake(name, 1, f"the file cannot be read: {error.strerror or error}") from None
    if len(data) > MOST_FILE:
        raise ScenarioMistake(name, 1, f"the file is larger than {MOST_FILE // 1024} KiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ScenarioMistake(name, line, "the file is not UTF-8 text") from None
    return parse(text, name)


def parse(text: str, name: str) -> Scenario:
    """Parse the text of a scenario file.

    :param text: the text.
    :param name: name of the file, for errors.
    :raises ScenarioMistake: the text is wrong. The error names the line.
    """
    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise _not_toml(text, name, error) from None
    return _Reader(name, LineNumbers(text)).scenario(content)


def check_name(value: object) -> bool:
    """Return whether a value names a function, as in ``module:callable``."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _not_toml(text: str, name: str, error: Exception) -> ScenarioMistake:
    said = str(error)
    found = _AT.search(said)
    last = text.removesuffix("\n").count("\n") + 1
    if isinstance(error, RecursionError):
        return ScenarioMistake(name, 1, "the file is nested too deeply")
    line = int(found[1]) if found is not None and found[1] else last
    why = said[: found.start()] if found is not None else said
    return ScenarioMistake(name, min(line, last), f"this is not TOML: {why[:1].lower()}{why[1:]}")


@frozen
class _Reader:
    name: str
    lines: LineNumbers

    def wrong(self, why: str, *path: str | int) -> ScenarioMistake:
        return ScenarioMistake(self.name, self.lines.of(*path), why)

    def scenario(self, content: Mapping[str, Any]) -> Scenario:
        known = ("to", "from", "context", "client", "voice", "recognizer", "within", "match", "step")
        for key in content:
            if key not in known:
                raise self.wrong(f"unknown key {key!r}: expected {either(known)}", key)
        steps = content.get("step")
        if not isinstance(steps, list) or not steps or not all(isinstance(step, dict) for step in steps):
            path = ("step",) if "step" in content else ()
            raise self.wrong(f"there are no steps: write at least one [[step]] with {either(_KINDS)}", *path)
        if len(steps) > MOST_STEPS:
            raise self.wrong(f"there are more than {MOST_STEPS} steps", "step", MOST_STEPS)
        within = self.seconds(content, "within", FALLBACK_WITHIN)
        match = self.score(content, FALLBACK_MATCH)
        found = tuple(self.step(step, index, within, match) for index, step in enumerate(steps))
        for index, step in enumerate(found[:-1]):
            if step.kind in ("hangs_up", "ends"):
                raise self.wrong("nothing can follow the end of the call: remove this step", "step", index + 1)
        return Scenario(
            file=self.name,
            to=self.party(content, "to", Scenario(file="").to),
            from_=self.party(content, "from", Scenario(file="").from_),
            context=self.words(content, "context", "default"),
            client=self.callable(content, "client", _TARGET, "module:client or module:function()"),
            voice=self.callable(content, "voice", _NAME, "module:callable"),
            recognizer=self.callable(content, "recognizer", _NAME, "module:callable"),
            steps=found,
            lines={key: self.lines.of(key) for key in content},
        )

    def step(self, given: Mapping[str, Any], index: int, within: float, match: float) -> Step:
        path = ("step", index)
        kinds = [
            key for key in given if key in _KINDS
        ]  # in the order of the file, so that the second one is the mistake
        if not kinds:
            unknown = next((key for key in given if key not in _OPTIONS), None)
            if unknown is not None:
                raise self.wrong(f"unknown key {unknown!r}: expected one of {either(_KINDS)}", *path, unknown)
            raise self.wrong(f"the step does nothing: expected one of {either(_KINDS)}", *path)
        if len(kinds) > 1:
            raise self.wrong(f"{kinds[0]!r} and {kinds[1]!r} are two steps: begin another [[step]]", *path, kinds[1])
        kind = kinds[0]
        options = {
            "says": ("within", "after"),
            "presses": ("within", "after"),
            "hears": ("within", "match"),
            "plays": ("within", "match"),
            "hangs_up": ("after",),
            "ends": ("within",),
        }[kind]
        for key in given:
            if key != kind and key not in options:
                raise self.wrong(
                    f"{key!r} does not belong to a step that {kind}: expected {either(options)}", *path, key
                )
        return Step(
            line=self.lines.of(*path, kind),
            kind=kind,  # type: ignore[arg-type]  # one of _KINDS
            text=self.content(given, kind, path),
            within=self.seconds(given, "within", within, *path),
            match=self.score(given, match, *path),
            after=self.seconds(given, "after", 0.0, *path),
        )

    def content(self, given: Mapping[str, Any], kind: str, path: tuple[str | int, ...]) -> str:
        value = given[kind]
        if kind in ("hangs_up", "ends"):
            if value is not True:
                raise self.wrong(f"{kind} is {_shown(value)}: expected true", *path, kind)
            return ""
        if kind == "hears" and value is True:
            return ""
        if kind == "presses":
            if not isinstance(value, str) or not _KEYS.fullmatch(value):
                why = f"presses is {_shown(value)}: expected up to 100 of the keys 0-9, *, # and A-D as text"
                raise self.wrong(why, *path, kind)
            return value
        return self.sentence(given, kind, path)

    def sentence(self, given: Mapping[str, Any], kind: str, path: tuple[str | int, ...]) -> str:
        value = given[kind]
        more = ", or true for any sound" if kind == "hears" else ""
        if (
            not isinstance(value, str)
            or len(value) > MOST_TEXT
            or not (words_of(value) or (kind == "says" and is_file(value)))
        ):
            why = f"{kind} is {_shown(value)}: expected text with at least one word and up to {MOST_TEXT} characters{more}"
            raise self.wrong(why, *path, kind)
        return value

    def seconds(self, given: Mapping[str, Any], key: str, fallback: float, *path: str | int) -> float:
        value = given.get(key, fallback)
        least = 0.0 if key == "after" else 0.1
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= LONGEST:
            raise self.wrong(f"{key} is {_shown(value)}: expected {least:g} to {LONGEST:g} seconds", *path, key)
        return float(value)

    def score(self, given: Mapping[str, Any], fallback: float, *path: str | int) -> float:
        value = given.get("match", fallback)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
            raise self.wrong(f"match is {_shown(value)}: expected a number above 0 and up to 1", *path, "match")
        return float(value)

    def party(self, content: Mapping[str, Any], key: str, fallback: str) -> str:
        check: Callable[[str, Any], str | None] = values.party if key == "to" else values.caller
        try:
            return check(key, content.get(key, fallback)) or ""
        except InvalidParameter as error:
            raise self.wrong(f"{key} is {_shown(content[key])}: expected {error.accepted}", key) from None

    def words(self, content: Mapping[str, Any], key: str, fallback: str) -> str:
        value = content.get(key, fallback)
        if not isinstance(value, str) or not value.strip() or len(value) > MOST_TEXT:
            raise self.wrong(f"{key} is {_shown(value)}: expected text", key)
        return value

    def callable(self, content: Mapping[str, Any], key: str, form: re.Pattern[str], expected: str) -> str:
        value = content.get(key, "")
        if key in content and (not isinstance(value, str) or not form.fullmatch(value)):
            raise self.wrong(f"{key} is {_shown(value)}: expected {expected}", key)
        return str(value)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
