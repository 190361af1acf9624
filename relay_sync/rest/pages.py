"""Detect a login page or an error message that a server sends with status 200 in place of a recording."""

from __future__ import annotations

import codecs
import re
from typing import Final

__all__ = ["is_page", "page_in"]

#: Media types of text. ``text/plain`` is excluded because some servers use it for audio.
_WORDS: Final = re.compile(r"text/(?!plain$).+|multipart/.+|[a-z]+/(?:.+\+)?(?:json|xml)")
_LOOK: Final = 1024
_SHORTEST: Final = 4  # minimum number of characters, because a few audio samples may look like letters
_HTML: Final = re.compile(r"\s*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_XML: Final = re.compile(r"\s*<(?:[?!]|/?[A-Za-z_][^<>]*>)")
_JSON: Final = re.compile(r"\s*[\[{]\s*[\"\[\]{}\-0-9tfn]")
_BINARY: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_MARKS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def is_page(content_type: str) -> bool:
    """Return whether a content type means text, which cannot be a recording."""
    return _WORDS.fullmatch(_media_type(content_type)) is not None


def page_in(beginning: bytes) -> str:
    """Return a description of the text at the beginning of a file, such as "an HTML page", or ``""`` if it is not text."""
    text = _text(beginning)
    if text is None:
        return ""
    if _HTML.match(text):
        return "an HTML page"
    if _XML.match(text):
        return "XML"
    if _JSON.match(text):
        return "JSON"
    return "text" if len(text.strip()) >= _SHORTEST else ""


def _text(beginning: bytes) -> str | None:
    mark, encoding = next((each for each in _MARKS if beginning.startswith(each[0])), (b"", "utf-8"))
    try:
        # Decode incrementally, because the last character may be incomplete.
        text = codecs.getincrementaldecoder(encoding)().decode(beginning[len(mark) : _LOOK])
    except UnicodeDecodeError:
        return None
    return None if _BINARY.search(text) else text


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
