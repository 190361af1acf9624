"""Scenario files: what they may say, and the line of each mistake."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_sync.scenarios import ScenarioMistake, read
from relay_sync.scenarios.line_numbers import LineNumbers
from relay_sync.scenarios.reading import MOST_FILE, MOST_STEPS, parse

FULL = """\
# a comment
to = "+15550123"
from = "+15550124"
context = "office"
client = "app:make()"
voice = "voices:anna"
recognizer = "ears:Whisper.recognize"
within = 4
match = 0.9

[[step]]
hears = "How can I help?"

[[step]]
says = "Pizza."
after = 0.5

[[step]]
presses = "1#"

[[step]]
hears = true
within = 2.5

[[step]]
plays = "Goodbye"
match = 1

[[step]]
hangs_up = true
"""


def test_a_whole_file() -> None:
    found = parse(FULL, "x.toml")
    assert (found.to, found.from_, found.context) == ("+15550123", "+15550124", "office")
    assert (found.client, found.voice, found.recognizer) == ("app:make()", "voices:anna", "ears:Whisper.recognize")
    assert [(step.kind, step.text, step.within, step.match, step.after, step.line) for step in found.steps] == [
        ("hears", "How can I help?", 4.0, 0.9, 0.0, 12),
        ("says", "Pizza.", 4.0, 0.9, 0.5, 15),
        ("presses", "1#", 4.0, 0.9, 0.0, 19),
        ("hears", "", 2.5, 0.9, 0.0, 22),
        ("plays", "Goodbye", 4.0, 1.0, 0.0, 26),
        ("hangs_up", "", 4.0, 0.9, 0.0, 30),
    ]


def test_what_a_file_need_not_say() -> None:
    found = parse('[[step]]\nhears = "Hello"', "x.toml")
    assert (found.to, found.from_, found.context, found.voice) == ("+15550100", "+15550199", "default", "")
    assert (found.steps[0].within, found.steps[0].match) == (10.0, 0.8)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "no steps"),
        ("# nothing\n\n", 2, "no steps"),
        ('to = "+1555"\n[[step]\n', 2, "not TOML"),
        ('[[step]]\nhears = "x\n', 2, "not TOML"),
        ('[[step]]\nhears = """x\n\n', 3, "not TOML"),
        ('[[step]]\nhears = "x"\nhears = "y"\n', 3, "not TOML"),
        ("step = 3\n", 1, "no steps"),
        ("step = [1]\n", 1, "no steps"),
        ('to = "unknown"\n[[step]]\nhears = "x"\n', 1, "to is 'unknown'"),
        ('\nto = 5\n[[step]]\nhears = "x"\n', 2, "to is 5"),
        ('[[step]]\nhears = "x"\n[[step]]\nwithin = 3\n', 3, "does nothing"),
        ('[[step]]\nhear = "x"\n', 2, "unknown key 'hear': expected one of 'says', 'presses'"),
        ('[[step]]\nwithin = 3\nhear = "x"\n', 3, "unknown key 'hear'"),
        ('[[step]]\nhears = "x"\nsays = "y"\n', 3, "'hears' and 'says' are two steps"),
        ('[[step]]\nhears = "x"\nsayz = "y"\n', 3, "'sayz' does not belong"),
        ('[[step]]\nhears = "x"\nafter = 1\n', 3, "'after' does not belong"),
        ('[[step]]\nhears = "x"\n\n[[step]]\n# two\nhears = 3\n', 6, "hears is 3"),
        ('[[step]]\nhears = "..."\n', 2, "at least one word"),
        ("[[step]]\nhears = false\n", 2, "hears is False"),
        ("[[step]]\nplays = true\n", 2, "plays is True"),
        ("[[step]]\nsays = true\n", 2, "says is True"),
        ("[[step]]\npresses = 1\n", 2, "presses is 1"),
        ('[[step]]\npresses = "1w"\n', 2, "of the keys"),
        ('[[step]]\nhangs_up = "yes"\n', 2, "expected true"),
        ('[[step]]\nhears = "x"\nwithin = 0\n', 3, "within is 0"),
        ('[[step]]\nhears = "x"\nwithin = nan\n', 3, "within is nan"),
        ('[[step]]\nhears = "x"\nwithin = true\n', 3, "within is True"),
        ('[[step]]\nhears = "x"\nmatch = 80\n', 3, "match is 80"),
        ('match = 0\n[[step]]\nhears = "x"\n', 1, "match is 0"),
        ('[[step]]\nsays = "x"\nafter = -1\n', 3, "after is -1"),
        ('voice = "anna"\n[[step]]\nhears = "x"\n', 1, "voice is 'anna'"),
        ('voice = "a:b()"\n[[step]]\nhears = "x"\n', 1, "expected module:callable"),
        ('client = 3\n[[step]]\nhears = "x"\n', 1, "client is 3"),
        ('context = " "\n[[step]]\nhears = "x"\n', 1, "context is"),
        ('[[step]]\nhears = "x"\n[speed]\nx = 1\n', 3, "unknown key 'speed'"),
        ('[[step]]\nhangs_up = true\n[[step]]\nhears = "x"\n', 3, "nothing can follow"),
        ('[[step]]\nends = true\n[[step]]\nhears = "x"\n', 3, "nothing can follow"),
        ('step = [\n  {hears = "x"},\n  {hears = 3},\n]\n', 1, "hears is 3"),
        ('[[step]]\nhears = """\none\ntwo\n"""\nwithin = 0\n', 6, "within is 0"),
        ("x = " + "[" * 5000, 1, ""),
    ],
)
def test_mistakes_name_their_line(text: str, line: int, words: str) -> None:
    with pytest.raises(ScenarioMistake) as caught:
        parse(text, "order.toml")
    assert str(caught.value).startswith(f"order.toml:{line}: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_many_steps_and_too_much_text() -> None:
    step = '[[step]]\nhears = "x"\n'
    assert len(parse(MOST_STEPS * step, "x").steps) == MOST_STEPS
    with pytest.raises(ScenarioMistake, match=rf"^x:{2 * MOST_STEPS + 1}: there are more than {MOST_STEPS} steps"):
        parse((MOST_STEPS + 2) * step, "x")
    with pytest.raises(ScenarioMistake, match="characters"):
        parse(f'[[step]]\nhears = "{"x " * 2000}"\n', "x")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ScenarioMistake, match="cannot be read"):
        read(tmp_path / "none.toml")
    with pytest.raises(ScenarioMistake, match="cannot be read"):
        read(tmp_path)
    file = tmp_path / "x.toml"
    file.write_bytes(b"# fine\n# \xff\n")
    with pytest.raises(ScenarioMistake, match=r"x\.toml:2: the file is not UTF-8"):
        read(file)
    file.write_bytes(b"#" * (MOST_FILE + 1))
    with pytest.raises(ScenarioMistake, match="larger than"):
        read(file)


def test_a_mistake_can_be_pickled() -> None:
    again = pickle.loads(pickle.dumps(ScenarioMistake("x.toml", 3, "wrong")))
    assert (str(again), again.line, again.file, again.why) == ("x.toml:3: wrong", 3, "x.toml", "wrong")


@given(st.text(max_size=200))
def test_no_text_makes_it_fail_otherwise(text: str) -> None:
    with pytest.raises(ScenarioMistake) as caught:
        parse(text, "x")
    assert 1 <= caught.value.line <= text.count("\n") + 1


@given(
    st.lists(
        st.sampled_from(["", "# comment", "pad = 1", 'pad = """', '"""', "[t]", "[[u]]", "x = [", "]"]), max_size=12
    )
)
def test_the_line_of_a_value_is_where_it_starts(before: list[str]) -> None:
    lines = [*before, "[[step]]", "", 'wanted = """', "more", '"""', "[[step]]"]
    text = "\n".join(lines)
    try:
        parse(text, "x")
    except ScenarioMistake as mistake:
        if "not TOML" in mistake.why:
            return
    numbers = LineNumbers(text)
    assert numbers.of("step", 0, "wanted") == len(before) + 3
    assert numbers.of("step", 1) == len(before) + 6
    assert numbers.of("step", 0, "none") == len(before) + 1
