"""Rules of the house that no other test would notice: process-wide settings, threads, asyncio, and what texts mention."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.modules import MODULES, PACKAGE, name_of, tree


@functools.cache
def calls() -> list[tuple[str, str, ast.Call]]:
    """Every call in the package: the module, the text of what is called, and the node."""
    return [
        (name_of(path), ast.unparse(node.func), node)
        for path in MODULES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
    ]


@pytest.mark.static
def test_nothing_is_asynchronous() -> None:
    kinds = (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await)
    found = [
        f"{name_of(path)}:{node.lineno}" for path in MODULES for node in ast.walk(tree(path)) if isinstance(node, kinds)
    ]
    assert not found


def test_locks_are_looked_up_when_they_are_made() -> None:
    """An attrs factory that is ``threading.Lock`` itself keeps the lock of before gevent patched: it blocks the whole worker."""
    kept = re.compile(r"factory=(?:threading|_thread)\.(?:Lock|RLock|allocate_lock)\b")
    assert kept.search("field(factory=threading.Lock, init=False)")
    assert not [name_of(path) for path in MODULES if kept.search(path.read_text(encoding="utf-8"))]


def test_every_module_says_what_it_is_for() -> None:
    without_docstring, without_future = [], []
    for path in MODULES:
        if path.name == "_version.py":  # one line, which setup.cfg reads
            continue
        found = tree(path)
        if not ast.get_docstring(found):
            without_docstring.append(name_of(path))
        code = [node for node in found.body if not isinstance(node, ast.Expr)]
        defines = any(isinstance(node, (ast.FunctionDef, ast.ClassDef)) for node in code)
        if defines and ast.unparse(code[0]) != "from __future__ import annotations":
            without_future.append(name_of(path))
    assert (without_docstring, without_future) == ([], [])


@pytest.mark.static
def test_threads_have_names_and_hold_up_no_exit() -> None:
    found = []
    for name, called, node in calls():
        if called in ("threading.Thread", "Thread"):
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if "name" not in given or given.get("daemon") != "True":
                found.append(f"{name}:{node.lineno}")
        if called in ("threading.Timer", "threading._shutdown"):
            found.append(f"{name}:{node.lineno}: {called}")
    assert not found


def test_settings_of_the_process_are_the_user_s() -> None:
    """No stack size, no switch interval, no signal handlers but those of ``run()``, no other global switch.

    ``threads/process.py`` turns the collector off and on again while it reads frames, see there.
    ``cli/early.py`` is part of a program, not of the library: the command, whose process it is.
    """
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
    found = [
        f"{name}:{node.lineno}: {called}"
        for name, called, node in calls()
        if (called in theirs and (name, called) != ("threads/process.py", "gc.disable"))
        or (called == "signal.signal" and name not in ("threads/signals.py", "cli/early.py"))
        or (called in ("atexit.register", "os.register_at_fork") and name not in ("threads/process.py", "cli/early.py"))
    ]
    assert not found


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


@pytest.mark.static
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
