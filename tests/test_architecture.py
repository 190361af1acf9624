"""Rules of the house that no other test would notice: process-wide settings, threads, asyncio, and what texts mention."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import relay_sync

PACKAGE = Path(relay_sync.__file__).parent
ROOT = Path(__file__).parent.parent
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


every_module = pytest.mark.parametrize("path", MODULES, ids=name_of)


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call in a module, by the text of what is called."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


@every_module
def test_nothing_is_asynchronous(path: Path) -> None:
    for node in ast.walk(tree(path)):
        assert not isinstance(node, (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await))


@every_module
def test_every_module_says_what_it_is_for(path: Path) -> None:
    if path.name == "_version.py":  # one line, which setup.cfg reads
        return
    found = tree(path)
    assert ast.get_docstring(found)
    code = [node for node in found.body if not isinstance(node, ast.Expr)]
    if any(isinstance(node, (ast.FunctionDef, ast.ClassDef)) for node in code):
        assert ast.unparse(code[0]) == "from __future__ import annotations"


@every_module
def test_threads_have_names_and_hold_up_no_exit(path: Path) -> None:
    for called, node in calls(path):
        if called in ("threading.Thread", "Thread"):
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            assert "name" in given, f"{path}:{node.lineno}"
            assert ast.unparse(given["daemon"]) == "True", f"{path}:{node.lineno}"
        assert called not in ("threading.Timer", "threading._shutdown")


@every_module
def test_settings_of_the_process_are_the_user_s(path: Path) -> None:
    """No stack size, no switch interval, no signal handlers but those of ``run()``, no other global switch."""
    theirs = {
        "threading.stack_size",
        "sys.setswitchinterval",
        "sys.setrecursionlimit",
        "socket.setdefaulttimeout",
        "signal.set_wakeup_fd",
        "logging.basicConfig",
        "websocket.enableTrace",
        "gc.disable",
        "gc.freeze",
        "random.seed",
    }
    for called, node in calls(path):
        assert called not in theirs, f"{path}:{node.lineno}"
        if called == "signal.signal":
            assert name_of(path) == "running.py" or name_of(path).startswith("cli/"), f"{path}:{node.lineno}"
        if called in ("atexit.register", "os.register_at_fork"):
            assert name_of(path) == "runtime/process.py", f"{path}:{node.lineno}"


def test_importing_makes_no_tls_and_no_thread() -> None:
    """Both cost time, and a program that forks or never connects needs neither."""
    code = """
import sys, threading
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name in ("ssl", "_ssl", "websocket"):
            print("imports", name)
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import relay_sync
client = relay_sync.RelayClient(project="p", token="t", host="name.example")
print("threads", threading.active_count(), "state", client.state)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert done.stdout.split() == ["threads", "1", "state", "idle"]


def texts() -> Iterator[Path]:
    """Everything in the repository that somebody may read."""
    for folder in ("relay_sync", "tests", "examples", "docs", "benchmarks", ".ci"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path
    for pattern in ("*.md", "*.cfg", "*.py", "*.in", ".*.toml", "LICENSE"):
        yield from sorted(ROOT.glob(pattern))


# Put together here, so that this file does not hold what it looks for.
FOREIGN = re.compile(
    "|".join(
        [
            r"(?<![\w/.])/" + r"work\b",
            r"(?<![\w/.])/" + r"root\b",
            r"(?<![\w/.])/" + r"home/\w",
            r"(?<![\w/.])/" + r"tmp/\w",
            r"\.\./" + "shared",
            "b-" + "seed",
        ]
    )
)


def test_no_text_mentions_the_machine_it_was_written_on() -> None:
    found = []
    for path in texts():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # audio
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in FOREIGN.finditer(text)]
    assert not found


def test_the_search_for_foreign_places_sees() -> None:
    for text in ("cd /" + "work/main", "'/" + "root'", "see ../" + "shared/x", "/" + "tmp/v/bin"):
        assert FOREIGN.search(text)
    for text in ("a/" + "work", "https://example.com/" + "root", "networks"):
        assert not FOREIGN.search(text)
