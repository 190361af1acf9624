"""Compare what was expected with what was recognized. This module does no I/O.

Case, punctuation and the spelling of numbers do not matter. The rest is compared word by word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from attrs import frozen

from .spoken_numbers import with_digits

__all__ = ["Match", "best_match", "words_of"]

_APOSTROPHES: Final = re.compile("(?<=[^\\W\\d_])['\u2019\u02bc](?=[^\\W\\d_])")
_MONEY: Final = re.compile(r"([$€£])\s*(\d[\d,]*)(?:\.(\d\d))?(?!\d)")
_CURRENCIES: Final = {"$": "dollar", "€": "euro", "£": "pound"}
_THOUSANDS: Final = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_POINT: Final = re.compile(r"(?<=\d)\.(?=\d)")
_INITIALS: Final = re.compile(r"(?<![^\W_])[^\W\d_](?:\.[^\W\d_])+(?![^\W_])\.?")
_WORD: Final = re.compile(r"\d+|(?:[^\W\d_]|[\u0300-\u036f])+")
_SIGNS: Final = str.maketrans({"%": " percent ", "&": " and "})


@lru_cache(maxsize=256)  # while a step waits, all that was heard is compared again and again
def words_of(text: str) -> tuple[str, ...]:
    """Return the words of a text in the form in which they are compared.

    Case and punctuation are removed, and numbers become single digits, in words or not: "It's $23!" and "its twenty-three
    dollars" are the same. Number words are English.

    :param text: the text.
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    # Each of the two steps may produce what the other one changes, for example with U+0345.
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", plain).casefold())
    plain = _APOSTROPHES.sub("", plain)
    plain = _MONEY.sub(_money, plain).translate(_SIGNS)
    plain = _POINT.sub(" point ", _THOUSANDS.sub("", plain))
    plain = _INITIALS.sub(lambda found: found[0].replace(".", ""), plain)
    return tuple(with_digits([_ascii(word) for word in _WORD.findall(plain)]))


def _ascii(word: str) -> str:
    """Return digits of other scripts as ASCII digits."""
    return "".join(str(unicodedata.decimal(each)) for each in word) if word.isdecimal() else word


def _money(found: re.Match[str]) -> str:
    name, whole, cents = _CURRENCIES[found[1]], found[2].rstrip(","), found[3]
    number = whole.replace(",", "")
    text = f" {number} {name}{'' if number == '1' else 's'} "
    rest = found[2][len(whole) :]
    return text + (f"and {int(cents)} cents " if cents and int(cents) else "") + rest


@frozen
class Match:
    """The place in what was heard that is most similar to what was expected.

    :ivar score: share of the expected words that are there, from 0 to 1. Words that are missing, wrong or too many between them
        are subtracted.
    :ivar start: index of its first word.
    :ivar end: index after its last word.
    """

    score: float
    start: int
    end: int


def best_match(expected: Sequence[str], heard: Sequence[str]) -> Match:
    """Find the place in ``heard`` that needs the fewest changes to become ``expected``. Of several, the first is returned.

    :param expected: the words that were expected, at least one.
    :param heard: the words that were heard. Words before and after the place do not matter.
    """
    # Row by row of the edit distance. A place may start anywhere, so the first row is 0; ``starts`` says where it did.
    size = len(heard)
    costs, starts = [0] * (size + 1), list(range(size + 1))
    for number, word in enumerate(expected, 1):
        above, above_starts = costs, starts
        costs, starts = [number], [0]
        for index, other in enumerate(heard, 1):
            choices = (
                (above[index - 1] + (word != other), -above_starts[index - 1]),
                (above[index] + 1, -above_starts[index]),
                (costs[index - 1] + 1, -starts[index - 1]),
            )
            cost, start = min(choices)
            costs.append(cost)
            starts.append(-start)
    end = min(range(size + 1), key=costs.__getitem__)
    return Match(max(0.0, 1.0 - costs[end] / len(expected)), starts[end], end)
