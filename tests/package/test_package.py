"""The shape of the package: imports point downwards, parts stay small, importing is cheap, tests leave nothing behind."""

from __future__ import annotations

import ast
import bisect
import collections
import importlib
import importlib.metadata
import pkgutil
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import relay_sync
from tests.support import ROOT
from tests.support.modules import (
    MODULES,
    NAMED,
    PACKAGE,
    circles,
    home,
    imported,
    imports,
    name_of,
    nodes,
    subpackage,
    tree,
)
from tests.support.setup_cfg import lower_bounds, sections

#: The layers, lowest first. A subpackage may import from its own layer and from those below it.
LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"text", "errors", "constants", "deadline", "_version", "notebook_html"}),
    frozenset({"threads", "hosts"}),
    frozenset({"observing", "params", "receivers", "server"}),
    frozenset({"protocol", "events", "config", "devices"}),
    frozenset({"call", "connection", "audio", "rest", "webhooks"}),
    frozenset({"client", "health", "simulator"}),
    frozenset({"__init__", "cli", "scenarios", "testing"}),
    frozenset({"contrib", "pytest_plugin", "__main__"}),
)
#: The only import cycle that is intended, for types only: an action names the call that it belongs to.
EXCEPTION = ("relay_sync.call.actions.base", "relay_sync.call.call")
#: Modules in import cycles, by subpackage. The numbers may only decrease; a subpackage without cycles is removed.
IN_CIRCLES: dict[str, int] = {}
#: Imports that are forbidden although the layers allow them.
STRANGERS = {
    "audio": {"call"},
    "simulator": {"client", "call", "connection"},
    "client": {"simulator"},
    "call": {"audio"},
    "server": {"protocol"},
}
#: Modules without sockets, threads and clocks.
PURE = {"text", "hosts/origins.py", "protocol", "notebook_html", "params", "events", "devices", "errors", "constants"}
IMPURE = {"socket", "select", "selectors", "threading", "time", "queue", "subprocess", "ssl", "asyncio", "websocket"}
#: Third-party packages, and the only modules that may import them.
EXTRAS = {
    "websockets": {"server/library.py"},
    "rich": {"cli/meters.py", "cli/progress.py", "rest/progress.py"},
    "websocket": {"connection/transport.py"},
    "watchfiles": {"cli/dev/reload.py"},
}


def layer(name: str) -> int:
    for height, names in enumerate(LAYERS):
        if name in names:
            return height
    raise AssertionError(f"{name} is in no layer: add it to LAYERS in tests/package/test_package.py")


def test_the_package_is_there() -> None:
    assert len(MODULES) > 50
    assert {subpackage(path) for path in MODULES} >= {"protocol", "connection", "server", "audio", "simulator", "cli"}


def why_not(mine: str, name: str) -> str:
    """Return why a subpackage may not import a module, or an empty string if it may."""
    parts = name.split(".")
    if parts[0] != "relay_sync":
        return ""
    if len(parts) == 1:
        return "import from the module that defines the name, not from relay_sync itself"
    if parts[1] != "__version__" and layer(parts[1]) > layer(mine):
        return f"{mine} imports {name}, which is above it"
    return f"{mine} must not know {parts[1]}" if parts[1] in STRANGERS.get(mine, ()) else ""


@pytest.mark.static
def test_no_import_points_upwards() -> None:
    found = [
        f"{path}: {wrong}"
        for path in MODULES
        if subpackage(path) != "__init__"  # the package's public names
        for name in imported(path, types=True)
        if (wrong := why_not(subpackage(path), name))
    ]
    assert not found


def test_there_are_few_floors_and_few_modules_at_the_root() -> None:
    assert len(LAYERS) <= 8
    assert len({name for names in LAYERS for name in names}) == sum(map(len, LAYERS))
    assert len(list(PACKAGE.glob("*.py"))) <= 14


def test_modules_import_each_other_in_no_circle() -> None:
    """Imports for type checking count, too: a reader of one module in a cycle has to read all of them."""
    edges = {
        name: {
            other
            for other in imported(path, types=True)
            if other in NAMED and name != other and (name, other) != EXCEPTION
        }
        for name, path in NAMED.items()
        if name != "relay_sync"  # the package's public names
    }
    assert EXCEPTION[1] in imported(NAMED[EXCEPTION[0]], types=True)
    found = circles(edges)
    left = collections.Counter(name.split(".")[1] for group in found for name in group)
    assert not {subpackage: found for subpackage, number in left.items() if number > IN_CIRCLES.get(subpackage, 0)}
    assert not set(IN_CIRCLES) - set(left), "this subpackage has no cycles left: remove it from IN_CIRCLES"


def test_circles_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"e", "a"}}) == [["b", "c"], ["e"]]


@pytest.mark.static
def test_pure_rooms_have_no_sockets_threads_or_clocks_and_extras_one_door() -> None:
    found = []
    for path in MODULES:
        here = path.relative_to(PACKAGE).as_posix()
        tops = {name.split(".")[0] for name in imported(path)}
        wrong = {"asyncio"} | (IMPURE if PURE & {subpackage(path), here} else set())
        wrong |= {extra for extra, doors in EXTRAS.items() if here not in doors}
        found += [f"{here} imports {name}" for name in sorted(tops & wrong)]
    assert not found


def test_the_check_of_imports_sees() -> None:
    """The tests above are only as good as their eyes."""
    module = PACKAGE / "call" / "verbs" / "imagined.py"
    text = (
        "import os, json.decoder\nfrom ... import client\nfrom ...audio.wav import read_wav\nfrom . import base\n"
        "from .base import Verbs\nif TYPE_CHECKING:\n    from ...simulator import Simulator\n"
        "def f():\n    from relay_sync.cli import main\n"
    )
    assert list(imports(module, ast.parse(text))) == [
        "os",
        "json.decoder",
        "relay_sync.client",
        "relay_sync.audio.wav",
        "relay_sync.call.verbs.base",
        "relay_sync.call.verbs.base",
        "relay_sync.cli",
    ]


#: Modules that go by another name in a file, with the reason.
ALIASES = {("client/dial.py", "device_kinds"): "dial() has a parameter of the module's name"}


def aliases(path: Path, of: ast.AST) -> Iterator[str]:
    """The names that modules of this package have in a tree, where those are not their own."""
    package = ("relay_sync", *path.relative_to(PACKAGE).parts[:-1])
    for node in nodes(of, types=True):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = home(node, package)
            for alias in node.names:
                if alias.asname is not None and f"{base}.{alias.name}" in NAMED:
                    yield alias.asname


@pytest.mark.static
def test_modules_go_by_their_own_names() -> None:
    found = {(name_of(path), alias) for path in MODULES for alias in aliases(path, tree(path))}
    assert found == set(ALIASES)


def test_aliases_are_found() -> None:
    text = (
        "from ..params import values as checks, nested\nfrom .server import PLACE as there\nfrom . import server as s"
    )
    assert list(aliases(PACKAGE / "audio" / "imagined.py", ast.parse(text))) == ["checks", "s"]


# -- size ----------------------------------------------------------------------------------------------------------------


def counted(of: ast.Module, text: str) -> list[int]:
    """The numbers of the lines that count: neither blank nor part of a docstring."""
    documented: set[int] = set()
    for each in ast.walk(of):
        if isinstance(each, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(each) is not None:
            documented.update(range(each.body[0].lineno, (each.body[0].end_lineno or 0) + 1))
    return [number for number, line in enumerate(text.splitlines(), 1) if line.strip() and number not in documented]


def bodies(of: ast.Module, lines: list[int]) -> Iterator[tuple[str, int]]:
    """The functions, and how many of these lines they have. Without the signature: the formatter gives each parameter a line,
    and a verb may have twenty."""
    for node in ast.walk(of):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first, last = node.body[0].lineno, node.end_lineno or 0
            yield node.name, bisect.bisect_right(lines, last) - bisect.bisect_left(lines, first)


@pytest.mark.static
def test_parts_that_have_grown_large_are_named(record_property: Callable[[str, object], None]) -> None:
    """A warning: the summary names them. A clear function of 70 lines is better than two that nobody can tell apart."""
    found = []
    for path in MODULES:
        lines = counted(tree(path), path.read_text(encoding="utf-8"))
        if len(lines) > 500:
            found.append(f"{name_of(path)}: {len(lines)} lines")
        found += [f"{name_of(path)}: {name} has {size} lines" for name, size in bodies(tree(path), lines) if size > 60]
    for each in found:
        record_property("large", each)


def test_lines_are_counted() -> None:
    text = 'def f(\n    a,\n):\n    """Two\n    lines."""\n\n    b = a  # one\n    # two\n    return b\n'
    of = ast.parse(text)
    assert counted(of, text) == [1, 2, 3, 7, 8, 9]
    assert list(bodies(of, counted(of, text))) == [("f", 3)]


# -- importing -----------------------------------------------------------------------------------------------------------


def loaded_by(statement: str) -> set[str]:
    """What a statement imports beyond what a bare interpreter has, by the names of packages."""
    code = (
        f"import sys; before = set(sys.modules); {statement};"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    return set(done.stdout.split())


def test_the_oldest_versions_are_the_lower_bounds() -> None:
    """``make oldest`` runs the fast tests with the lower bounds of ``setup.cfg``, so both name the same versions."""
    setup = sections()
    bounds = lower_bounds(f"{setup['options']['install_requires']}\n{setup['options.extras_require']['test']}")
    lines = (ROOT / ".ci" / "oldest.txt").read_text(encoding="utf-8").splitlines()
    oldest = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert bounds.keys() <= oldest.keys()
    assert oldest.keys() - bounds.keys() == {"urllib3"}, "requests accepts an older one; relay_sync.rest does not"
    for name, bound in bounds.items():
        assert f"{oldest[name]}.".startswith(f"{bound}."), name


def test_rest_says_which_urllib3_it_needs() -> None:
    code = "import urllib3.exceptions as found; del found.NameResolutionError; import relay_sync.rest"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert re.search(r"ImportError: relay_sync\.rest needs urllib3 2 or newer, found \d[\d.]+: pip install", ran.stderr)


def test_dialling_imports_no_http_client_where_no_proxy_is_set() -> None:
    loaded = loaded_by("import relay_sync.connection.transport")
    assert "websocket" in loaded
    assert not loaded & {"email", "tempfile", "requests"}


def test_importing_is_cheap() -> None:
    loaded = loaded_by("from relay_sync import RelayClient")
    assert loaded >= {"relay_sync", "attrs"}
    assert not loaded & {"requests", "websockets", "rich", "numpy", "av", "asyncio", "urllib3", "argparse"}
    # Left to the first connection, to run() and to notebooks.
    assert not loaded & {"socket", "selectors", "random", "uuid", "signal", "html"}


#: What ``from relay_sync import RelayClient`` leaves to those who use it: subpackages of the package, and what they are built on.
LEFT_TO_USERS = (
    *("contrib", "testing", "pytest_plugin", "rest", "webhooks", "simulator", "audio", "cli", "server"),
    *("flask", "django", "click", "numpy", "av", "rich", "requests", "urllib3", "websockets", "websocket", "pytest"),
    *("gunicorn", "gevent", "celery", "sphinx", "IPython", "http.server"),
)


def test_importing_loads_no_room_that_was_not_asked_for() -> None:
    code = (
        "import sys; before = set(sys.modules); from relay_sync import Call; print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    loaded = set(done.stdout.split())
    assert "relay_sync.client.client" in loaded
    for name in LEFT_TO_USERS:
        assert not loaded & {name, f"relay_sync.{name}"}


def test_every_module_imports_and_keeps_its_promises() -> None:
    """What a module says it offers is there."""
    names = [found.name for found in pkgutil.walk_packages(relay_sync.__path__, "relay_sync.")]
    assert "relay_sync.audio.server" in names
    for name in names:
        if name.endswith("__main__"):
            continue
        module = importlib.import_module(name)
        for public in getattr(module, "__all__", ()):
            assert hasattr(module, public), f"{name}.{public}"


def test_what_is_installed_has_this_version() -> None:
    try:
        installed = importlib.metadata.version("relay-sync")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("run from a checkout that is not installed")
    assert installed == relay_sync.__version__


def test_the_changelog_knows_the_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert section == "[Unreleased]"
    assert f"This will be version {relay_sync.__version__}, the first release." in text
    # Before the first release nothing has changed and nothing was fixed.
    assert re.findall(r"^### (.+)$", text, re.MULTILINE) == ["Added"]


# -- the tests themselves ------------------------------------------------------------------------------------------------

SLOPPY = """
import socket, threading
kept = []

def test_thread():
    never = threading.Event()
    threading.Thread(target=never.wait, name="relay-forgotten-1", daemon=True).start()

def test_socket():
    kept.append(socket.create_server(("127.0.0.1", 0)))

def test_tidy(client):
    client().connect()
"""


@pytest.mark.slow
def test_a_test_that_leaves_something_behind_fails(tmp_path: Path) -> None:
    patience = (ROOT / "tests" / "conftest.py").read_text(encoding="utf-8").replace("PATIENCE = 10.0", "PATIENCE = 0.2")
    (tmp_path / "conftest.py").write_text(patience, encoding="utf-8")
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    (tmp_path / "test_sloppy.py").write_text(SLOPPY)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path / "test_sloppy.py")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        check=False,
    )
    assert "threads left behind: relay-forgotten-1" in done.stdout
    if sys.platform == "linux":
        assert "AssertionError: sockets left open" in done.stdout
        assert "ERROR test_sloppy.py::test_socket" in done.stdout
    assert "ERROR test_sloppy.py::test_thread" in done.stdout
    assert "test_tidy" not in done.stdout


@pytest.mark.traced
@pytest.mark.parametrize(
    "first", ["client.dial", "client", "client.router", "call.actions", "simulator", "events", "devices"]
)
def test_any_module_may_be_the_first_one(first: str) -> None:
    code = f"import relay_sync.{first}; import relay_sync; relay_sync.errors.RelayError; from relay_sync import *; RelayClient"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PACKAGE.parent)
