"""Find the lines of the values in a TOML document, which ``tomllib`` does not tell. This module does no I/O."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any, Final

from attrs import define, field

__all__ = ["LineNumbers"]

Path = tuple[str | int, ...]
#: What may end a value of several lines.
_ENDS: Final = ('"""', "'''", "]")


@define(eq=False)
class LineNumbers:
    """The lines of the values in a TOML document that ``tomllib`` accepts.

    Each statement of such a document is a document, too, so statements are parsed one by one: a line, and more lines until the
    text can be parsed.

    :param text: the document.
    :ivar last: number of the last line, counted from 1.
    """

    _text: str
    last: int = field(default=1, init=False)
    _found: dict[Path, int] = field(factory=dict, init=False)
    _counts: dict[Path, int] = field(factory=dict, init=False)  # tables in each array of tables
    _table: Path = field(default=(), init=False)

    def __attrs_post_init__(self) -> None:
        lines = [
            f"{line}\n" for line in self._text.removesuffix("\n").split("\n")
        ]  # splitlines() knows more ends than TOML
        self.last = len(lines)
        start = 0
        while start < len(lines):
            end = start + 1
            content = _parsed(lines[start])
            while content is None and end < len(lines):
                end += 1
                if any(each in lines[end - 1] for each in _ENDS):
                    content = _parsed("".join(lines[start:end]))
            if content is None:
                return
            if lines[start].lstrip().startswith("["):
                self._table = self._header(content)
                self._note(self._table, start + 1)
            else:
                self._values(content, self._table, start + 1)
            start = end

    def of(self, *path: str | int) -> int:
        """Return the number of the line in which a value starts, counted from 1.

        If the value does not exist, the result is the line of the closest table or list that contains its place. For an empty
        path, it is the last line.

        :param path: keys and indexes that lead to the value.
        """
        while path and path not in self._found:
            path = path[:-1]
        return self._found[path] if path else self.last

    def _header(self, content: Mapping[str, Any]) -> Path:
        """Return the path of the table that a header begins."""
        path: Path = ()
        node: Any = content
        while node:
            key, node = next(iter(node.items()))
            path = (*path, key)
            if isinstance(node, list):
                self._counts[path] = self._counts.get(path, 0) + 1
                node = node[0]
            if path in self._counts:
                path = (*path, self._counts[path] - 1)
        return path

    def _values(self, value: Any, path: Path, line: int) -> None:
        self._note(path, line)
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, each in items:
            self._values(each, (*path, key), line)

    def _note(self, path: Path, line: int) -> None:
        for length in range(1, len(path) + 1):
            self._found.setdefault(path[:length], line)


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return None
