"""The README's program in two processes behind nginx, in each form of the shipped configuration: calls, and their audio."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from relay_sync.audio import read_wav
from relay_sync.simulator import Simulator
from tests.support import ROOT
from tests.support.background import until
from tests.support.carrier import PAYLOADS, PCMU
from tests.support.hosting import PATIENCE, environment, launched
from tests.support.lines import FROM, TO
from tests.support.nginx import HOST_B, NAME, Places, machine, nginx, trusting
from tests.support.pages import blocks

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="nginx as Debian has it"),
]

PORTS: Final = range(8765, 8773)
#: What the callers say: it is the same after the codec.
SAID: Final = PCMU.decode(b"".join(PAYLOADS))
(PROGRAM,) = blocks((ROOT / "README.md").read_text(encoding="utf-8"))


def saved_as(folder: Path, address: str) -> None:
    """Save the program, on a machine of its own."""
    old = f"AudioServer(port=range({PORTS.start}, {PORTS.stop})"
    assert PROGRAM.count(old) == 1
    program = PROGRAM.replace(old, old.replace("(", f'("{address}", ', 1))
    (folder / "answer.py").write_text(program, encoding="utf-8")


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("form", "paths"),
    [
        ("/{port}", {f"/{port}" for port in PORTS[:2]}),
        ("/{hostname}/{port}", {f"/host-a/{port}" for port in PORTS[:2]}),
        ("/audio", {"/audio"}),
    ],
)
def test_calls_of_two_processes_are_heard(form: str, paths: set[str], tmp_path: Path) -> None:
    with (
        machine(PORTS) as address,
        nginx(Places(here=address, hosts=(address, HOST_B))) as proxy,
        Simulator(media_ssl_context=trusting()) as sim,
    ):
        saved_as(tmp_path, address)
        more = environment(sim, AUDIO_URL=proxy.url(form), RELAY_HOSTNAME="host-a")
        with launched(tmp_path, more, *["-m", "relay_sync", "run", "answer:client", "--processes", "2"]) as process:
            sim.wait_for_client(2, PATIENCE)
            phones = [
                sim.call(to=TO, from_=FROM, says=SAID, hangs_up_after_speaking=True) for _ in range(4)
            ]  # two for each process
            for phone in phones:
                phone.wait_until("ended", PATIENCE)
            assert {urlsplit(phone.streams[0].url).path for phone in phones} == paths
            files = [tmp_path / f"call-{phone.call_id}.wav" for phone in phones]
            until(lambda: process.output.count("saved") == len(files))
            process.terminate()
    for file in files:
        assert read_wav(file).channel(0)[: len(SAID)] == SAID


def test_the_name_of_the_pages_is_that_of_the_configuration() -> None:
    page = (ROOT / "docs" / "audio.md").read_text(encoding="utf-8")
    assert f'port=range({PORTS.start}, {PORTS.stop}), public_url="wss://{NAME}/{{port}}"' in page
