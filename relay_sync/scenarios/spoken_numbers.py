"""English numbers in words, converted to digits. This module does no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

__all__ = ["with_digits"]

_UNITS: Final = {
    word: number
    for number, word in enumerate(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
}
_TEENS: Final = {
    word: number
    for number, word in enumerate(
        ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"],
        10,
    )
}
_TENS: Final = {
    word: 10 * number
    for number, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2)
}
_SCALES: Final = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
#: Ordinals that are not the cardinal with ``th``.
_ORDINALS: Final = {
    "first": "one",
    "second": "two",
    "third": "three",
    "fifth": "five",
    "eighth": "eight",
    "ninth": "nine",
    "twelfth": "twelve",
    **{f"{tens.removesuffix('y')}ieth": tens for tens in _TENS},
}
#: Word that follows the digits of an ordinal: "21st" and "twenty first" both become ``2 1 th``.
_ORDINAL: Final = "th"
_SUFFIXES: Final = frozenset({"st", "nd", "rd", "th"})


class _Found(NamedTuple):
    """A number in a sequence of words.

    :ivar value: the number.
    :ivar end: index of the word after it.
    :ivar is_ordinal: whether it is an ordinal, which nothing can continue.
    """

    value: int
    end: int
    is_ordinal: bool = False


def with_digits(words: Sequence[str]) -> list[str]:
    """Replace numbers by their digits, each a word of its own.

    As a result, a number is the same in words, in digits, and digit by digit: "twenty-three" and "23", "five five five" and
    "555", "nineteen eighty-four" and "1984", "third" and "3rd".

    :param words: words in lower case. A word of digits must not contain letters.
    """
    found: list[str] = []
    index = 0
    while index < len(words):
        if words[index].isdecimal():
            following = words[index + 1 : index + 2]
            if following and following[0] in _SCALES:
                number = _number(words, index)
                assert number is not None  # a number of digits with a scale
            else:
                found += words[index]
                index += 1
                if following and following[0] in _SUFFIXES:
                    found.append(_ORDINAL)
                    index += 1
                continue
        else:
            number = _number(words, index)
        if number is None:
            found.append(words[index])
            index += 1
            continue
        found += str(number.value)
        if number.is_ordinal:
            found.append(_ORDINAL)
        index = number.end
    return found


def _number(words: Sequence[str], start: int) -> _Found | None:
    """Return the number that starts at an index: groups below a thousand, each with a smaller scale than the one before."""
    total, end, least = 0, start, 10**12
    while True:
        joined = end + 1 if total and end < len(words) and words[end] == "and" else end
        group = _group(words, joined, article=end == start)
        if group is None:
            break
        scale, is_ordinal, following = _scale(words, group)
        if scale >= least:
            break
        total, end, least = total + group.value * scale, following, scale
        if is_ordinal:
            return _Found(total, end, True)
        if scale == 1:
            break
    return _Found(total, end) if end > start else None


def _scale(words: Sequence[str], group: _Found) -> tuple[int, bool, int]:
    """Return the scale that follows a group, whether it is an ordinal, and the index after it."""
    word = words[group.end] if group.end < len(words) and not group.is_ordinal else ""
    for name, scale in _SCALES.items():
        if word in (name, f"{name}th"):
            return scale, word != name, group.end + 1
    return 1, group.is_ordinal, group.end


def _group(words: Sequence[str], at: int, *, article: bool) -> _Found | None:
    """Return a number below a thousand, or a number in digits before a scale.

    :param article: whether "a hundred", "hundred" and "thousand" start a number, too.
    """
    word = words[at] if at < len(words) else ""
    following = words[at + 1] if at + 1 < len(words) else ""
    if word.isdecimal() and following in _SCALES:
        return _Found(int(word[:18]), at + 1)
    if article:
        if word == "a" and (following.removesuffix("th") == "hundred" or following.removesuffix("th") in _SCALES):
            return _hundreds(words, _Found(1, at + 1)) or _Found(1, at + 1)
        if word.removesuffix("th") == "hundred":
            return _hundreds(words, _Found(1, at))
        if word.removesuffix("th") in _SCALES:
            return _Found(1, at)
    small = _small(words, at)
    if small is None or small.is_ordinal:
        return small
    return _hundreds(words, small) or small


def _hundreds(words: Sequence[str], count: _Found) -> _Found | None:
    """Return a number of hundreds and what follows them; ``None`` if the word after ``count`` is not "hundred"."""
    word = words[count.end] if count.end < len(words) else ""
    if word == "hundredth":
        return _Found(100 * count.value, count.end + 1, True)
    if word != "hundred" or not count.value:
        return None
    end = count.end + 1
    rest = _small(words, end + 1 if end < len(words) and words[end] == "and" else end)
    if rest is None or not rest.value or _begins_another(words, rest):
        return _Found(100 * count.value, end)
    return _Found(100 * count.value + rest.value, rest.end, rest.is_ordinal)


def _begins_another(words: Sequence[str], rest: _Found) -> bool:
    """Return whether a number is itself the count of hundreds, as in "one hundred two hundred"."""
    return rest.end < len(words) and words[rest.end] == "hundred"


def _small(words: Sequence[str], at: int) -> _Found | None:
    """Return a number below a hundred."""
    if at >= len(words):
        return None
    value, is_ordinal = _cardinal(words[at])
    if value is None:
        return None
    if value >= 20 and not is_ordinal and at + 1 < len(words):
        unit, ordinal = _cardinal(words[at + 1])
        if unit is not None and 0 < unit < 10:
            return _Found(value + unit, at + 2, ordinal)
    return _Found(value, at + 1, is_ordinal)


def _cardinal(word: str) -> tuple[int | None, bool]:
    """Return the value of a single word, and whether it is an ordinal."""
    plain = _ORDINALS.get(word) or (word.removesuffix("th") if word.endswith("th") else word)
    for names in (_UNITS, _TEENS, _TENS):
        if plain in names:
            return names[plain], plain != word
    return None, False
