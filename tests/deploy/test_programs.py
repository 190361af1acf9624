"""Programs of the system that tests start: found, missing, required, installed and counted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import PATIENCE, ROOT, programs
from tests.support.programs import PROGRAMS, need


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which programs are searched for; it is empty."""
    monkeypatch.setattr(programs, "ELSEWHERE", ())
    monkeypatch.setattr(programs, "PROGRAMS", {"nginx": PROGRAMS["nginx"], "prometheus": PROGRAMS["prometheus"]})
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("CI", programs.REQUIRE, programs.USED):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def _program(path: Path, text: str = "") -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="programs are other files there")
def test_a_program_is_found_on_the_path_and_where_debian_has_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _program(folder / "nginx")
    assert need("nginx") == path
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setattr(programs, "ELSEWHERE", (str(folder),))
    assert need("nginx") == path
    assert programs.missing() == ["prometheus"]


@pytest.mark.usefixtures("folder")
def test_a_test_without_its_program_is_skipped_with_the_line_to_type() -> None:
    with pytest.raises(pytest.skip.Exception, match=r"^nginx is missing: type apt-get install nginx$"):
        need("nginx")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("given", "fails"),
    [
        ({"CI": "true"}, True),
        ({programs.REQUIRE: "prometheus nginx"}, True),
        ({programs.REQUIRE: "prometheus"}, False),
        ({"CI": "true", programs.REQUIRE: ""}, False),
        ({"CI": "false"}, False),
    ],
)
def test_a_test_without_a_required_program_fails(
    given: dict[str, str], fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(pytest.fail.Exception if fails else pytest.skip.Exception, match="apt-get install nginx"):
        need("nginx")


@pytest.mark.skipif(sys.platform == "win32", reason="programs are other files there")
def test_the_uses_of_a_program_are_counted_once_a_test(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _program(folder / "nginx")
    file = folder / "used"
    assert programs.used(file) == ["nginx: used by 0 tests", "prometheus: used by 0 tests"]
    monkeypatch.setenv(programs.USED, str(file))
    for test in ("a.py::test_one[a b] (setup)", "a.py::test_one[a b] (call)", "b.py::test_two (call)"):
        monkeypatch.setenv("PYTEST_CURRENT_TEST", test)
        need("nginx")
    assert programs.used(file) == ["nginx: used by 2 tests", "prometheus: used by 0 tests"]


@pytest.mark.traced
def test_the_command_prints_what_is_missing_and_all_names() -> None:
    def output(*arguments: str) -> list[str]:
        command = [sys.executable, "-m", "tests.support.programs", *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=True)
        return done.stdout.split()

    assert output("names") == list(PROGRAMS)
    assert set(output("missing")) <= {program.package for program in PROGRAMS.values()}


# -- .ci/install: no service starts ---------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
@pytest.mark.parametrize("existing", [None, "#!/bin/sh\nexit 0\n"])
@pytest.mark.parametrize("code", [0, 100])
def test_services_are_not_started_while_packages_are_installed(tmp_path: Path, existing: str | None, code: int) -> None:
    """A ``policy-rc.d`` is created and removed again, whether the installation works or not; an existing one stays."""
    policy, log = tmp_path / "policy-rc.d", tmp_path / "log"
    if existing is not None:
        policy.write_text(existing, encoding="utf-8")
        policy.chmod(0o755)
    _program(tmp_path / "apt-get", f'"$POLICY_RC_D"; echo "$? $*" >>{log}; [ "$1" = update ] || exit {code}')
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "POLICY_RC_D": str(policy)}
    command = [str(ROOT / ".ci" / "install"), "one", "two"]
    assert subprocess.run(command, env=environment, timeout=PATIENCE, check=False).returncode == code
    denied = 101 if existing is None else 0
    lines = log.read_text(encoding="utf-8").splitlines()
    assert [line.split()[0] for line in lines] == [str(denied)] * 2
    assert re.search("^[0-9]+ install .*--no-install-recommends one two$", lines[1])
    assert (policy.read_text(encoding="utf-8") if policy.exists() else None) == existing


def test_ci_requires_and_counts_the_programs() -> None:
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    slow = text[text.index('step "the slow tests"') : text.index('step "coverage')]
    for words in ("tests.support.programs missing", f"{programs.REQUIRE}=", f"{programs.USED}=", "programs used"):
        assert words in slow


def test_contributors_see_which_packages_to_install() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    packages = re.findall(r"^apt-get install --no-install-recommends (.+)$", text, re.MULTILINE)
    assert [each.split() for each in packages] == [
        list(dict.fromkeys(program.package for program in PROGRAMS.values()))
    ]
