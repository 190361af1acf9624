"""The proxy on the way to a host."""

from __future__ import annotations

import os
import traceback

import pytest
import requests

from relay_sync.hosts.proxies import Proxy, Unusable, find_proxy, read_proxy

FAR, PORT = "relay.example.com", 443
P, Q = "http://p.example:3128", "http://q.example:8080"


def chosen(env: dict[str, str], host: str = FAR, port: int = PORT, *, secure: bool = True) -> str | None:
    found = find_proxy(host, port, secure=secure, environ=env)
    return None if found is None else f"{found.address} {found.source}"


@pytest.mark.parametrize(
    ("env", "secure", "expected"),
    [
        ({}, True, None),
        ({"https_proxy": P}, True, f"{P} https_proxy"),
        ({"HTTPS_PROXY": P}, True, f"{P} HTTPS_PROXY"),
        ({"https_proxy": P, "HTTPS_PROXY": Q}, True, f"{P} https_proxy"),
        ({"https_proxy": "", "HTTPS_PROXY": Q}, True, None),
        ({"https_proxy": " ", "all_proxy": Q}, True, f"{Q} all_proxy"),
        ({"https_proxy": P}, False, None),
        ({"http_proxy": P}, False, f"{P} http_proxy"),
        ({"http_proxy": P}, True, None),
        ({"HTTP_PROXY": P, "REQUEST_METHOD": "GET"}, False, None),
        ({"http_proxy": P, "REQUEST_METHOD": "GET"}, False, f"{P} http_proxy"),
        ({"ALL_PROXY": P}, False, f"{P} ALL_PROXY"),
        ({"https_proxy": P, "all_proxy": Q}, True, f"{P} https_proxy"),
        ({"https_proxy": "p.example:3128"}, True, f"{P} https_proxy"),
        ({"https_proxy": "http://p.example"}, True, "http://p.example:80 https_proxy"),
        ({"https_proxy": " HTTP://P.example:3128/ "}, True, f"{P} https_proxy"),
        ({"https_proxy": "http://[::1]:3128"}, True, "http://[::1]:3128 https_proxy"),
        ({"https_proxy": "socks5://x:1", "no_proxy": "*"}, True, None),
    ],
)
def test_which_variable_names_the_proxy(env: dict[str, str], secure: bool, expected: str | None) -> None:
    assert chosen(env, secure=secure) == expected


@pytest.mark.parametrize(
    ("no_proxy", "host", "direct"),
    [
        ("relay.example.com", FAR, True),
        ("Relay.Example.COM", FAR, True),
        ("example.com", FAR, True),
        (".example.com", FAR, True),
        (".relay.example.com", FAR, True),
        ("*.example.com", FAR, True),
        ("*", FAR, True),
        ("x, *", FAR, True),
        ("other.com,example.com", FAR, True),
        ("other.com example.com", FAR, True),
        (" other.com ,\texample.com ", FAR, True),
        ("relay.example.com:443", FAR, True),
        ("example.com:443", FAR, True),
        ("relay.example.com.", FAR, True),
        ("example.com", f"{FAR}.", True),
        ("relay.example.com.:443", f"{FAR}.", True),
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1:443", "10.0.0.1", True),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.1.2.3/8", "10.1.2.4", True),
        ("2001:db8::1", "[2001:db8::1]", True),
        ("[2001:db8::1]", "[2001:db8::1]", True),
        ("[2001:db8::1]:443", "[2001:db8::1]", True),
        ("2001:0db8:0::1", "[2001:db8::1]", True),
        ("2001:db8::/32", "[2001:db8::1]", True),
        ("[2001:db8::]/32", "[2001:db8::1]", True),
        ("", FAR, False),
        (",", FAR, False),
        (".", FAR, False),
        ("*.", FAR, False),
        ("com.example", FAR, False),
        ("ample.com", FAR, False),
        ("x.relay.example.com", FAR, False),
        ("relay.example.com:8443", FAR, False),
        ("relay.example.com:x", FAR, False),
        ("relay.example.com:99999", FAR, False),
        ("[2001:db8::1]:80", "[2001:db8::1]", False),
        ("10.0.0.2", "10.0.0.1", False),
        ("0.0.1", "10.0.0.1", False),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.0.0.0/99", "10.0.0.1", False),
        ("10.0.0.0/8", FAR, False),
        ("2001:db8::/32", "10.0.0.1", False),
        ("https://relay.example.com", FAR, False),
    ],
)
@pytest.mark.parametrize("variable", ["no_proxy", "NO_PROXY"])
def test_which_hosts_are_reached_without_a_proxy(variable: str, no_proxy: str, host: str, direct: bool) -> None:
    assert (chosen({"https_proxy": P, variable: no_proxy}, host) is None) is direct


def test_no_proxy_in_lower_case_wins_unless_it_is_empty() -> None:
    assert chosen({"https_proxy": P, "no_proxy": "x", "NO_PROXY": "*"})
    assert chosen({"https_proxy": P, "no_proxy": "", "NO_PROXY": "*"}) is None


@pytest.mark.parametrize("host", ["localhost", "localhost.", "127.0.0.1", "[::1]"])
def test_loopback_never_goes_through_a_proxy(host: str) -> None:
    assert chosen({"https_proxy": P}, host) is None
    assert find_proxy(host, 443, secure=True, given=P) is None


def test_a_proxy_shows_its_password_to_nobody_who_walks_it() -> None:
    proxy = find_proxy(FAR, PORT, secure=True, given="http://user:hunter2@p.example:3128", environ={})
    assert proxy is not None
    assert proxy.password == "hunter2"
    assert "hunter2" not in f"{proxy} {proxy!r}"
    with pytest.raises(TypeError, match="not iterable"):
        list(proxy)  # type: ignore[call-overload]


def test_an_argument_decides_alone() -> None:
    env = {"https_proxy": Q, "no_proxy": "*"}
    found = find_proxy(FAR, PORT, secure=True, given=P, environ=env)
    assert found == Proxy(host="p.example", port=3128, source="proxy")
    assert find_proxy(FAR, PORT, secure=True, given="", environ={"https_proxy": Q}) is None


@pytest.mark.parametrize(
    "env",
    [
        {"https_proxy": P, "no_proxy": no_proxy}
        for no_proxy in (
            *("", "*", "example.com", ".example.com", "relay.example.com:8443", "example.com:8443", "other.com", "com"),
            *("10.0.0.0/8", "10.0.0.1", "10.0.0.1,x", "x, relay.example.com", "RELAY.example.com"),
        )
    ]
    + [{"HTTPS_PROXY": P}, {"all_proxy": Q}, {"https_proxy": "", "HTTPS_PROXY": P}, {"https_proxy": P, "all_proxy": Q}],
)
@pytest.mark.parametrize("url", [f"https://{FAR}:8443/", "https://10.0.0.1:8443/", "https://other.example.com:8443/"])
def test_the_way_is_that_of_requests(env: dict[str, str], url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    theirs = requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url))
    host = url.split("/")[2].split(":")[0]
    found = find_proxy(host, 8443, secure=True)
    assert (found and found.url) == theirs


def test_a_host_in_no_proxy_matches_whole_labels() -> None:
    """As in requests 2.34; older versions take ``lay.example.com`` for the end of ``relay.example.com``."""
    found = find_proxy(FAR, PORT, secure=True, environ={"https_proxy": P, "no_proxy": "lay.example.com"})
    assert found == Proxy(host="p.example", port=3128, source="https_proxy")


@pytest.mark.parametrize(
    ("url", "user", "password", "authorization"),
    [
        ("http://p:1", "", "", ""),
        ("http://u:w@p:1", "u", "w", "Basic dTp3"),
        ("http://u@p:1", "u", "", "Basic dTo="),
        ("http://:w@p:1", "", "w", "Basic Onc="),
        ("http://u%40x:p%3Aw@p:1", "u@x", "p:w", "Basic dUB4OnA6dw=="),
        ("http://u:%C3%A4@p:1", "u", "\u00e4", "Basic dTrDpA=="),
        ("u:w@p:1", "u", "w", "Basic dTp3"),
    ],
)
def test_the_credentials_of_a_proxy(url: str, user: str, password: str, authorization: str) -> None:
    found = read_proxy(url, "https_proxy")
    assert (found.user, found.password, found.authorization) == (user, password, authorization)
    assert read_proxy(found.url, "https_proxy") == found
    assert f"{found} {found!r}".count("w") == 0
    assert str(found) == "the proxy http://p:1 (https_proxy)"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://u:hunter2@p:1", "over TLS"),
        ("socks5h://u:hunter2@p:1", "SOCKS"),
        ("ftp://hunter2", "another kind"),
        ("http://u:hun/ter2@p:1", "not a proxy URL"),
        ("http://p:hunter2", "not a proxy URL"),
        ("http://p:0", "not a proxy URL"),
        ("http://p:99999", "not a proxy URL"),
        ("http://[hunter2", "not a proxy URL"),
        ("http://", "not a proxy URL"),
        ("://", "another kind"),
        ("http://a b", "not a proxy URL"),
        ("http://hunter2\\x", "not a proxy URL"),
    ],
)
def test_what_is_no_proxy_that_can_be_used(url: str, words: str) -> None:
    with pytest.raises(Unusable) as caught:
        read_proxy(url, "https_proxy")
    assert words in str(caught.value)
    assert str(caught.value).startswith("https_proxy ")
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("status", "final"),
    [
        (407, True),
        (403, True),
        (405, True),
        (501, True),
        (408, False),
        (429, False),
        (500, False),
        (502, False),
        (302, False),
    ],
)
def test_what_a_proxy_refuses_for_good(status: int, final: bool) -> None:
    proxy = read_proxy("http://u:hunter2@p:1", "https_proxy")
    message, found = proxy.refusal("relay.example.com:443", status, "No\x1b[31m " * 100)
    assert found is final
    assert str(status) in message
    assert "http://p:1 (https_proxy)" in message
    assert message.isprintable()
    assert len(message) < 300
    assert "hunter2" not in message
