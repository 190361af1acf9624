"""Reports: what came, what was expected beside it, and the voice that a scenario's caller has."""

from __future__ import annotations

import pytest

from relay_sync.scenarios import Report, Row, Scenario, Step
from relay_sync.scenarios.listening import Heard
from relay_sync.scenarios.mouth import Mouth
from relay_sync.scenarios.rows import Verdict, rows_of
from relay_sync.simulator.media.voice import Voice
from tests.support.tones import tone

HEARS = Step(line=2, kind="hears", text="How can I help?")
ROWS = (
    Row(at=0.25, who="program", came="How can I help you today?", expected="How can I help?", met=True, score=1.0),
    Row(at=12.0, who="caller", came="two\x1b[31m pizzas\nplease"),
    Row(at=115.5, who="program", came="hangs up", expected="the program hangs up", met=False),
)


def report(failure: str = "") -> Report:
    return Report(
        scenario=Scenario(file="x.toml", steps=(HEARS,)), rows=ROWS, failure=failure, met=1, of=2, seconds=116.04
    )


def test_the_table() -> None:
    assert report("x.toml:5: the program has not hung up").table(60).splitlines() == [
        "seconds  who      what came             what was expected",
        "    0.2  program  How can I help you    ok: How can I help?",
        "                  today?                (1.00)",
        "   12.0  caller   two [31m pizzas",
        "                  please",
        "  115.5  program  hangs up              NOT MET: the program",
        "                                        hangs up",
        "",
        "not met: 1 of 2 expectations, 116.0 s",
        "x.toml:5: the program has not hung up",
    ]
    told = report("x.toml:5: the program has not hung up").table(60)
    assert "\x1b" not in told
    assert all(len(line) <= 60 for line in told.splitlines())
    assert told.splitlines()[-2:] == ["not met: 1 of 2 expectations, 116.0 s", "x.toml:5: the program has not hung up"]


def test_a_report_that_is_met_and_one_that_is_not() -> None:
    met, failed = report(), report("x.toml:5: no")
    met.check()
    assert (bool(met), bool(failed)) == (True, False)
    assert str(met) == met.text
    assert repr(failed) == f"<Report of x.toml>\n{failed.text}"
    with pytest.raises(AssertionError, match=r"^x\.toml\nseconds"):
        failed.check()


def test_a_narrow_terminal_still_shows_words() -> None:
    assert "NOT MET:" in report().table(10)


def test_rows_have_their_expectations_beside_them() -> None:
    greeting, sound = Heard(start=1.0, end=2.0, text="Hello. How can I help?"), Heard(start=3.0, end=4.0, text=None)
    verdicts = [
        Verdict(HEARS, 2.1, True, greeting, 1.0),
        Verdict(Step(line=4, kind="hears", text="Hello"), 2.2, True, greeting, 1.0),
        Verdict(Step(line=6, kind="hears"), 3.2, True),
        Verdict(Step(line=8, kind="hears"), 9.0, False),
        Verdict(Step(line=9, kind="hears"), 7.0, True),
        Verdict(Step(line=9, kind="hears", text="Bye"), 10.0, False),
    ]
    said = Row(at=2.5, who="caller", came="Hi")
    rows = rows_of([said], [greeting, sound], verdicts)
    assert [(row.at, row.came, row.expected, row.met) for row in rows] == [
        (1.0, "Hello. How can I help?", "How can I help?", True),
        (1.0, "", "Hello", True),
        (2.5, "Hi", "", None),
        (3.0, "(not recognized)", "(any sound)", True),
        (7.0, "(sound)", "(any sound)", True),
        (9.0, "(nothing)", "(any sound)", False),
        (10.0, "(no words)", "Bye", False),
    ]


@pytest.mark.parametrize("rate", [8000, 16000])
def test_a_caller_speaks_when_told_and_one_sentence_after_the_other(rate: int) -> None:
    mouth, frame, said = Mouth.silent(), rate // 50, Voice(tone(1600))
    heard = b"".join(mouth.render(number * frame, frame, rate) for number in range(10))
    assert not any(heard)
    first, second = mouth.say(said), mouth.say(said)
    loud: list[bool] = []
    for number in range(10, 40):
        loud.append(any(mouth.render(number * frame, frame, rate)))
        assert not (second.said and not first.said)
    assert loud == [True] * 20 + [False] * 10
    assert (first.said, second.said) == (True, True)
    assert mouth.duration == pytest.approx(0.6)
    assert mouth.samples_at(rate) == pytest.approx(0.6 * rate)
