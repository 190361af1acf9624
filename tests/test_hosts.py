"""Host names: one answer, for every part of the package, to what this machine is."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import relay_sync
from relay_sync.hosts import is_loopback, split_port

PACKAGE = Path(relay_sync.__file__).parent


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("LocalHost", True),
        ("localhost.", True),
        ("LOCALHOST.", True),
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("127.255.255.254", True),
        ("::1", True),
        ("[::1]", True),
        ("0:0:0:0:0:0:0:1", True),
        ("::ffff:127.0.0.1", True),
        ("[::ffff:7f00:1]", True),
        ("::ffff:10.0.0.1", False),
        ("localhost..", False),
        (".localhost", False),
        ("app.localhost", False),
        ("[localhost]", False),
        ("[127.0.0.1]", False),
        ("[::1", False),
        ("::1]", False),
        ("[[::1]]", False),
        ("localhost:80", False),
        ("127.0.0.1:80", False),
        (" localhost", False),
        ("localhost.example.com", False),
        ("128.0.0.1", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("::", False),
        ("127.1", False),
        ("127.0.0.1.", False),
        ("127.0.0.1.example.com", False),
        ("0x7f000001", False),
        ("2130706433", False),
        ("example.com", False),
        ("", False),
        (None, False),
    ],
)
def test_what_can_only_mean_this_machine(host: str | None, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_one_module_decides_what_this_machine_is(path: Path) -> None:
    found = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.FunctionDef) and "loopback" in node.name)
        or (isinstance(node, ast.Attribute) and node.attr == "is_loopback")
    ]
    assert path == PACKAGE / "hosts.py" or not found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("example.com", ("example.com", None)),
        ("Example.COM.:8080", ("example.com.", 8080)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("[::1]", ("::1", None)),
        ("[0:0::1]:443", ("::1", 443)),
        ("::1", ("::1", None)),
        ("FE80::1", ("fe80::1", None)),
    ],
)
def test_a_host_and_its_port(text: str, expected: tuple[str, int | None]) -> None:
    assert split_port(text) == expected


@pytest.mark.parametrize(
    "text", ["", ":80", "a:", "a:b", "a:99999", "a:-1", "a:1:2", "[::1", "::1]", "[]", "[a]:1", "[::1]80", "a\n"]
)
def test_what_is_no_host_and_port(text: str) -> None:
    try:
        host, _ = split_port(text)
    except ValueError:
        return
    assert not host.isprintable()
