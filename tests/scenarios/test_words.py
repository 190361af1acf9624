"""Words are compared after case, punctuation and numbers are normalized."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_sync.scenarios.spoken_numbers import with_digits
from relay_sync.scenarios.words import best_match, words_of

UNITS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
]
UNITS += ["seventeen", "eighteen", "nineteen"]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
WORDS = st.lists(st.sampled_from(["three", "pizzas", "please", "no", "yes", "with", "cheese"]), min_size=1, max_size=12)


def spelled(number: int, joint: str = " ") -> str:
    """Spell a number below a trillion in English. ``joint`` follows hundreds."""
    for scale, name in ((10**9, "billion"), (10**6, "million"), (10**3, "thousand")):
        if number >= scale:
            rest = number % scale
            return f"{spelled(number // scale, joint)} {name}" + (f" {spelled(rest, joint)}" if rest else "")
    if number >= 100:
        return f"{UNITS[number // 100]} hundred" + (f"{joint}{spelled(number % 100)}" if number % 100 else "")
    if number >= 20:
        return TENS[number // 10 - 2] + (f"-{UNITS[number % 10]}" if number % 10 else "")
    return UNITS[number]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("twenty three", "23"),
        ("Twenty-three pizzas!", "23 pizzas"),
        ("one hundred and five", "105"),
        ("a hundred", "100"),
        ("hundreds of", "hundreds, of"),
        ("two thousand twenty-six", "2026"),
        ("nineteen eighty four", "1984"),
        ("five five five, oh one", "555 oh 1"),
        ("3 million", "three million"),
        ("3 million", "3,000,000"),
        ("1,250 euros", "€1250"),
        ("the third", "the 3rd"),
        ("twenty first", "21st"),
        ("the hundredth", "the 100th"),
        ("twelfth", "12th"),
        ("It's", "its"),
        ("It\u2019s", "ITS"),
        ("$23", "twenty three dollars"),
        ("$1", "one dollar"),
        ("$5.50", "five dollars and fifty cents"),
        ("50%", "fifty percent"),
        ("3.5", "three point five"),
        ("7 p.m.", "seven PM"),
        ("7pm", "seven p.m"),
        ("fish & chips", "fish and chips"),
        ("Stra\u00dfe", "STRASSE"),
        ("cafe\u0301", "caf\u00e9"),
        ("\u0664\u0662", "42"),
        ("one hundred two hundred", "100 200"),
        ("five and six", "5 and 6"),
    ],
)
def test_spellings_of_the_same_words(one: str, other: str) -> None:
    assert words_of(one) == words_of(other)


@pytest.mark.parametrize(
    ("one", "other"), [("23", "24"), ("twenty three", "thirty two"), ("one", "won"), ("no", "yes")]
)
def test_other_words_are_other_words(one: str, other: str) -> None:
    assert words_of(one) != words_of(other)


@given(st.integers(0, 10**12 - 1), st.sampled_from([" ", " and "]))
def test_numbers_in_words_are_their_digits(number: int, joint: str) -> None:
    assert words_of(spelled(number, joint)) == tuple(str(number)) == words_of(str(number)) == words_of(f"{number:,}")


def _folded(word: str) -> str:
    # casefold() takes some letters apart, such as U+01F0, which has no composed form in upper case
    return unicodedata.normalize("NFKC", word.casefold())


def test_every_letter_can_be_compared() -> None:
    for code in range(sys.maxunicode + 1):
        if _folded(chr(code)) == chr(code):
            continue
        for text in (chr(code), chr(code) + "\u0345", "\u0345" + chr(code)):
            assert all(word == _folded(word) for word in words_of(text)), ascii(text)


@given(st.text(max_size=60))
def test_any_text_can_be_compared(text: str) -> None:
    words = words_of(text)
    assert all(word and word == _folded(word) for word in words)
    assert words_of(" ".join(words)) == tuple(with_digits(words))


@given(WORDS, WORDS, WORDS)
def test_words_are_found_among_others(before: list[str], words: list[str], after: list[str]) -> None:
    match = best_match(words, before + words + after)
    assert match.score == 1.0
    assert (before + words + after)[match.start : match.end] == words


@given(WORDS, WORDS)
def test_a_score_is_a_share(expected: list[str], heard: list[str]) -> None:
    match = best_match(expected, heard)
    assert 0.0 <= match.score <= 1.0
    assert 0 <= match.start <= match.end <= len(heard)
    if match.score == 1.0:
        assert heard[match.start : match.end] == expected
    missing = sum(word not in heard for word in expected)
    assert match.score <= 1.0 - missing / len(expected) + 1e-9


@pytest.mark.parametrize(
    ("heard", "score"),
    [
        ("a b c d e", 1.0),
        ("a b c d", 0.8),
        ("x a b x d e x", 0.8),
        ("a b x c d e", 0.8),
        ("e d c b a", 0.2),
        ("", 0.0),
        ("x y", 0.0),
    ],
)
def test_missing_wrong_and_additional_words_count(heard: str, score: float) -> None:
    assert best_match(list("abcde"), heard.split()).score == pytest.approx(score)


def test_the_first_of_equal_places_is_found() -> None:
    match = best_match(["yes"], ["no", "yes", "no", "yes"])
    assert (match.start, match.end) == (1, 2)
