"""Names, addresses and ports of hosts: one reading for every part of the package, and one answer to what is this machine."""

from __future__ import annotations

import ast

import pytest

from relay_sync.config import Address
from relay_sync.hosts.names import (
    Place,
    bare,
    bracketed,
    is_localhost,
    is_loopback,
    is_name,
    literal,
    place_of,
    split_authority,
    split_port,
    unbracketed,
    without_port,
)
from tests.support.modules import MODULES, name_of, tree


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


@pytest.mark.static
def test_one_module_decides_what_this_machine_is() -> None:
    found = {
        name_of(path)
        for path in MODULES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef) and "loopback" in node.name
    }
    assert found == {"hosts/names.py"}


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


NO_HOST = None
#: What is written where a host and perhaps a port are to stand: how it is split, how its host is compared, whether that is
#: loopback, and where a ``wss://`` URL with it leads.
READ: list[tuple[str, tuple[str, int | None] | None, str, bool, tuple[str, int] | None]] = [
    ("example.com", ("example.com", None), "example.com", False, ("example.com", 443)),
    ("Example.COM.", ("example.com.", None), "example.com", False, ("example.com", 443)),
    ("example.com:8080", ("example.com", 8080), "example.com", False, ("example.com", 8080)),
    ("localhost", ("localhost", None), "localhost", True, ("localhost", 443)),
    ("LOCALHOST", ("localhost", None), "localhost", True, ("localhost", 443)),
    ("localhost.", ("localhost.", None), "localhost", True, ("localhost", 443)),
    ("localhost.:80", ("localhost.", 80), "localhost", True, ("localhost", 80)),
    ("localhost..", ("localhost..", None), "localhost..", False, ("localhost..", 443)),
    ("127.0.0.1", ("127.0.0.1", None), "127.0.0.1", True, ("127.0.0.1", 443)),
    ("127.0.0.1:1", ("127.0.0.1", 1), "127.0.0.1", True, ("127.0.0.1", 1)),
    ("0.0.0.0", ("0.0.0.0", None), "0.0.0.0", False, ("0.0.0.0", 443)),
    ("[::1]", ("::1", None), "::1", True, ("::1", 443)),
    ("[::1]:8443", ("::1", 8443), "::1", True, ("::1", 8443)),
    ("[0:0:0:0:0:0:0:1]", ("::1", None), "::1", True, ("::1", 443)),
    ("[FE80::1]", ("fe80::1", None), "fe80::1", False, ("fe80::1", 443)),
    ("[fe80::1%eth0]", ("fe80::1%eth0", None), "fe80::1%eth0", False, ("fe80::1%eth0", 443)),
    ("[::]", ("::", None), "::", False, ("::", 443)),
    ("b\u00fccher.example", ("b\u00fccher.example", None), "b\u00fccher.example", False, ("b\u00fccher.example", 443)),
    (
        "xn--bcher-kva.example",
        ("xn--bcher-kva.example", None),
        "xn--bcher-kva.example",
        False,
        ("xn--bcher-kva.example", 443),
    ),
    ("", NO_HOST, "", False, None),
    (":80", NO_HOST, "", False, None),
    ("example.com:99999", NO_HOST, "example.com", False, None),
    ("example.com:x", NO_HOST, "example.com", False, None),
    ("[::1", NO_HOST, "", False, None),
    ("[a]", NO_HOST, "", False, None),
]


@pytest.mark.parametrize(("text", "split", "compared", "loopback", "place"), READ, ids=[row[0] for row in READ])
def test_one_reading_of_hosts(
    text: str,
    split: tuple[str, int | None] | None,
    compared: str,
    loopback: bool,
    place: tuple[str, int] | None,
) -> None:
    if split is None:
        with pytest.raises(ValueError):
            split_authority(text)
    else:
        assert split_authority(text) == split_port(text) == split
        assert bare(split[0]) == compared
        assert bare(bracketed(split[0])) == compared
        assert is_loopback(split[0]) is is_loopback(bracketed(split[0])) is loopback
        assert without_port(text).lower() in (split[0], bracketed(split[0]), text.lower())
    found = place_of(f"wss://{text}/path?query#fragment")
    assert found == (None if place is None else Place("wss", *place))
    assert place_of(f"WSS://user:p@{text}") == found  # whoever is named in front of it
    assert found is None or is_loopback(found.host) is loopback


def test_loopback_has_the_forms_of_ipv4_inside_ipv6() -> None:
    for text in ("::ffff:127.0.0.1", "[::ffff:7f00:1]", "::FFFF:127.8.8.8"):
        assert is_loopback(text)
        assert is_loopback(bare(text))
    assert bare("[::ffff:127.0.0.1]") == bare("::FFFF:7F00:1")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://a.example/", Place("http", "a.example", 80)),
        ("https://A.example.:444", Place("https", "a.example", 444)),
        ("ws://a.example", Place("ws", "a.example", 80)),
        ("https://a.example:", Place("https", "a.example", 443)),
        ("https:///path", None),
        ("/path", None),
        ("", None),
    ],
)
def test_where_a_url_leads(url: str, place: Place | None) -> None:
    assert place_of(url) == place


@pytest.mark.parametrize("text", ["::1", "fe80::1", "::"])
def test_a_bare_literal_stands_in_lists_but_in_no_url(text: str) -> None:
    assert split_port(text) == (text, None)
    with pytest.raises(ValueError):
        split_authority(text)
    assert bracketed(text) == bracketed(bracketed(text)) == f"[{text}]"
    assert unbracketed(f"[{text}]") == unbracketed(text) == text
    assert str(literal(text)) == str(literal(f"[{text}]")) == text


def test_a_literal_in_brackets_is_of_ipv6() -> None:
    assert literal("[127.0.0.1]") is literal("[a]") is literal("a") is literal("") is literal("127.1") is None
    assert str(literal("127.0.0.1")) == "127.0.0.1"


@pytest.mark.parametrize(
    ("host", "good"),
    [
        ("a", True),
        ("a.b-c_d.e.", True),
        ("10.0.0.1", True),
        ("a" * 63, True),
        ("a" * 64, False),
        (".".join(["a" * 49] * 5), True),
        (".".join(["a" * 50] * 5), False),
        ("-a", False),
        ("a-", False),
        ("a..b", False),
        (".", False),
        ("", False),
        ("a b", False),
        ("b\u00fccher", False),
        ("a\n", False),
    ],
)
def test_what_is_a_name(host: str, good: bool) -> None:
    assert is_name(host) is good


@pytest.mark.parametrize(
    ("host", "same"), [("localhost", True), ("LocalHost.", True), ("localhost..", False), ("a", False)]
)
def test_the_name_of_this_machine(host: str, same: bool) -> None:
    assert is_localhost(host) is same


@pytest.mark.parametrize(
    ("text", "rest"),
    [("a:1", "a"), ("a", "a"), ("[::1]:1", "[::1]"), ("[::1]", "[::1]"), (":1", ""), ("A.:", "A."), ("", "")],
)
def test_an_authority_without_its_port(text: str, rest: str) -> None:
    assert without_port(text) == rest


def test_a_server_has_one_address_however_its_host_is_written() -> None:
    assert Address.parse("[0:0::1]:5") == Address.parse("wss://[::1]:5") == Address("[::1]", 5, True)
    assert Address.parse("LOCALHOST.", scheme="ws") == Address("localhost.", 80, False)
