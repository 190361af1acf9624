"""``examples/notebook.ipynb``: it runs as it is, and what is stored in it is what it shows, and nothing else."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from relay_sync.audio import read_wav
from tests.support import ROOT
from tests.support.notebooks import notebook_client

NOTEBOOK = ROOT / "examples" / "notebook.ipynb"

Outputs = list[tuple[str, list[dict[str, Any]]]]


def stored() -> Outputs:
    """The last line of each cell of code, and its outputs."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return [
        ("".join(cell["source"]).splitlines()[-1], cell["outputs"]) for cell in cells if cell["cell_type"] == "code"
    ]


def html_of(outputs: list[dict[str, Any]]) -> str:
    found = "".join("".join(output["data"].get("text/html", "")) for output in outputs if "data" in output)
    assert found
    return found


def check(cells: Outputs) -> None:
    """What a reader should see."""
    client, _, action, interrupted, call, stream, stats, closed = cells
    assert client[0] == closed[0] == "client"
    assert "connected" in html_of(client[1])
    assert "closed" in html_of(closed[1])
    assert "PlayAction" in html_of(action[1])
    assert "by its own event" in html_of(action[1])
    assert "interrupted; the call is answered" in "".join(interrupted[1][-1]["text"])
    timeline = html_of(call[1])
    for text in ("<svg", "ended (hangup)", "streaming", "playing", "+15550199"):
        assert text in timeline
    for text in ("<svg", "<audio", "data:audio/wav;base64,", "frames", "stopped"):
        assert text in html_of(stream[1])
    assert "gaps        0" in "".join(stats[1][0]["text"])
    for _, outputs in cells:
        assert all(output["output_type"] in ("stream", "execute_result") for output in outputs)


def test_what_is_stored_is_what_a_reader_should_see() -> None:
    check(stored())


def test_it_is_small_and_names_no_secret_and_no_machine() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert len(text) < 300_000
    without_audio = re.sub(r"base64,[A-Za-z0-9+/=]+", "", text)
    # A token is a run of letters and digits, which ids of calls, with their hyphens, are not.
    assert not re.search(r"PT[0-9a-fA-F]{16,}|(?<![A-Za-z0-9])[A-Za-z0-9_]{32,}", without_audio)
    assert not re.search(r"(?<![\w.])/(?:" + "home|Users|var|usr|opt" + r")/", without_audio)
    assert "ipykernel" not in without_audio
    assert "Traceback" not in without_audio


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_it_runs(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason="notebooks need the extra slow")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    before = [cell.source for cell in notebook.cells]
    asyncio.run(notebook_client(notebook, folder=tmp_path).async_execute())
    assert [cell.source for cell in notebook.cells] == before
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    check([(cell.source.splitlines()[-1], cell.outputs) for cell in cells])
    saved = read_wav(tmp_path / "call.wav")
    assert saved.channels == 2
    assert saved.duration > 3
