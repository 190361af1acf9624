"""Several receivers behind one address: a port of a range for each, and what each says to streams of the others."""

from __future__ import annotations

import errno
import logging
import os
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from attrs import define

from relay_sync import Forked, InvalidParameter, StreamFailed, receivers
from relay_sync.audio import AudioServer
from relay_sync.audio.server_address import HOSTNAME
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.forks import holds_in_child, needs_fork, quiet_fork
from tests.support.ports import needs_ipv6
from tests.support.upgrades import EVIL, Misrouted, ask, is_taken

PUBLIC = "wss://audio.example.com/{port}"


# -- the port ------------------------------------------------------------------------------------------------------------


def test_each_receiver_gets_the_first_free_port_of_the_range(ports: range) -> None:
    with AudioServer(port=ports, public_url=PUBLIC) as first, AudioServer(port=ports, public_url=PUBLIC) as second:
        assert (first.port, second.port) == (ports[0], ports[1])
        assert second.url == f"wss://audio.example.com/{ports[1]}"
        first.close()
        with AudioServer(port=ports) as third:  # a port that was given up is free for the replacement
            assert third.port == ports[0]
            assert third.url == f"ws://127.0.0.1:{ports[0]}/audio"


def test_the_text_of_a_receiver_shows_its_range() -> None:
    audio = AudioServer(port=range(8765, 8773))
    assert repr(audio) == "<AudioServer for 127.0.0.1, port 8765 to 8772, not started>"


def test_receivers_that_start_at_the_same_time_get_ports_of_their_own(ports: range) -> None:
    together = threading.Barrier(len(ports))

    def start(audio: AudioServer) -> int:
        together.wait(PATIENCE)
        return audio.port

    made = [AudioServer(port=ports) for _ in ports]
    try:
        found = [each.result() for each in [Background(start, audio) for audio in made]]
    finally:
        for audio in made:
            audio.close()
    assert sorted(found) == list(ports)


@pytest.mark.parametrize("at", ["bind", "listen"])
def test_a_port_that_another_process_takes_meanwhile(ports: range, at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux lets two sockets bind to the same port, and refuses the second one that listens."""
    taken = socket.create_server(("127.0.0.1", ports[0])) if at == "bind" else None
    listen, asked = socket.socket.listen, []

    def late(self: socket.socket, *backlog: int) -> None:
        asked.append(self.getsockname()[1])
        if at == "listen" and len(asked) == 1:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        listen(self, *backlog)

    with monkeypatch.context() as patched:
        patched.setattr(socket.socket, "listen", late)
        with AudioServer(port=ports) as audio:
            assert audio.port == ports[1]
    assert asked == ([ports[1]] if taken else [ports[0], ports[1]])
    if taken is not None:
        taken.close()


@needs_ipv6
def test_a_port_is_free_on_all_addresses_of_the_host_or_not_taken(ports: range) -> None:
    with socket.create_server(("::1", ports[0]), family=socket.AF_INET6), AudioServer("localhost", ports) as audio:
        assert audio.port == ports[1]
        assert repr(audio) == f"<AudioServer listening on 127.0.0.1:{ports[1]}, [::1]:{ports[1]}>"
        with socket.create_server(("127.0.0.1", ports[0])):  # nothing was left there
            pass


def test_another_error_is_not_a_reason_to_try_the_next_port(ports: range, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def denied(address: Any, **_: object) -> None:
        asked.append(address[1])
        raise PermissionError(errno.EACCES, "Permission denied")

    audio = AudioServer(port=ports)
    with monkeypatch.context() as patched:
        patched.setattr(socket, "create_server", denied)
        with pytest.raises(PermissionError, match=f"127.0.0.1:{ports[0]} requires privileges"):
            audio.start()
    assert asked == [ports[0]]
    with audio:  # the failed attempt has left nothing behind
        assert audio.port == ports[0]


def test_a_range_that_is_used_up_says_how_many_ports_are_needed(ports: range) -> None:
    some = range(ports[0], ports[2])
    with AudioServer(port=some), AudioServer(port=some):
        late = AudioServer(port=some)
        with pytest.raises(OSError) as caught:
            late.start()
    assert caught.value.errno == errno.EADDRINUSE
    assert caught.value.strerror == (
        f"every port from {some[0]} to {some[-1]} of 127.0.0.1 is already in use: each process needs a port of its own, and"
        " a rolling restart needs twice as many ports as processes"
    )
    with late:
        assert late.port == some[0]


ACCEPTED = (
    "a port from 0 to 65535, or an ascending range of ports from 1 to 65535 without gaps, such as range(8765, 8773)"
)


@pytest.mark.parametrize(
    "port",
    [
        range(8765, 8765),
        range(8773, 8765),
        range(8772, 8764, -1),
        range(8765, 8773, 2),
        range(8),
        range(-2, 8),
        range(65530, 65537),
        range(65536, 65537),
        True,
        65536,
        -1,
        "8765-8772",
        [8765, 8766],
        8765.0,
        None,
    ],
    ids=repr,
)
def test_ports_that_cannot_be(port: Any) -> None:
    with pytest.raises(InvalidParameter) as caught:
        AudioServer(port=port)
    assert (caught.value.parameter, caught.value.accepted) == ("port", ACCEPTED)


@needs_fork
@quiet_fork
def test_children_of_a_fork_get_ports_of_their_own(ports: range) -> None:
    """As under gunicorn with ``preload``: made in the parent, started in each child."""
    audio = AudioServer(port=ports, public_url=PUBLIC)

    def child() -> bool:
        def grandchild() -> bool:
            with pytest.raises(Forked):
                audio.start()
            return True

        audio.start()
        holds_in_child(grandchild)
        assert audio.url == PUBLIC.format(port=ports[1])
        assert " 101 " in ask(audio.port, f"Authorization: Bearer {token_of(audio)}", path=f"/{ports[1]}")
        audio.close()
        return True

    with socket.create_server(("127.0.0.1", ports[0])):
        holds_in_child(child)
        holds_in_child(child)
    with audio:
        assert audio.port == ports[0]


# -- the address ---------------------------------------------------------------------------------------------------------


def token_of(audio: AudioServer) -> str:
    token: str = audio.device()["params"]["authorization_bearer_token"]
    return token


@pytest.mark.parametrize(
    ("public", "path", "url", "arrives"),
    [
        (PUBLIC, None, "wss://audio.example.com/{0}", "/{0}"),
        (
            "wss://audio.example.com/{hostname}/{port}/in",
            None,
            "wss://audio.example.com/media-1/{0}/in",
            "/media-1/{0}/in",
        ),
        ("wss://{hostname}.example.com:{port}", None, "wss://media-1.example.com:{0}", "/"),
        ("wss://audio-{port}.example.com/a", None, "wss://audio-{0}.example.com/a", "/a"),
        ("wss://audio.example.com/x/{port}", "/{port}", "wss://audio.example.com/x/{0}", "/{0}"),
        ("wss://audio.example.com/{port}", "/fixed", "wss://audio.example.com/{0}", "/fixed"),
        (None, "/{hostname}/{port}/{port}", "ws://127.0.0.1:{0}/media-1/{0}/{0}", "/media-1/{0}/{0}"),
    ],
)
def test_placeholders_of_the_address(
    public: str | None, path: str | None, url: str, arrives: str, ports: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOSTNAME, "media-1")
    audio = AudioServer(port=ports, public_url=public, path=path)
    monkeypatch.setenv(HOSTNAME, "read-when-it-is-made")
    with socket.create_server(("127.0.0.1", ports[0])), audio:
        port = ports[1]
        assert audio.url == url.format(port)
        assert audio.device()["params"]["url"] == url.format(port)
        good = f"Authorization: Bearer {token_of(audio)}"
        assert " 404 " in ask(port, good, path=f"{arrives.format(port)}x")
        assert " 404 " in ask(port, good, path="/audio")
        assert " 101 " in ask(port, good, path=arrives.format(port))


def test_a_fixed_port_fills_placeholders_as_well(ports: range) -> None:
    with AudioServer(port=ports[0], public_url=PUBLIC) as audio:
        assert audio.url == PUBLIC.format(port=ports[0])


def test_the_page_of_an_address_with_a_placeholder_may_connect(ports: range) -> None:
    public = "wss://audio-{port}.example.com"
    with AudioServer(port=ports, public_url=public, on_stream=lambda stream: None) as audio:
        for name, taken in ((f"audio-{audio.port}", True), (f"audio-{ports[1]}", False), ("audio-{port}", False)):
            assert is_taken(audio.port, f"Host: {name}.example.com", path="/") is taken
            assert is_taken(audio.port, f"Origin: https://{name}.example.com", path="/") is taken


@pytest.mark.parametrize("parameter", ["public_url", "path"])
@pytest.mark.parametrize(
    ("more", "port", "words"),
    [
        ("{process}", range(8765, 8773), "no braces except those of the placeholders {port} and {hostname}"),
        ("{}", range(8765, 8773), "no braces"),
        ("{port", range(8765, 8773), "no braces"),
        ("port}", range(8765, 8773), "no braces"),
        ("{{port}}", range(8765, 8773), "no braces"),
        ("{ho{port}stname}", range(8765, 8773), "no braces"),
        ("{port:04}", range(8765, 8773), "no braces"),
        ("{PORT}", range(8765, 8773), "no braces"),
        ("{port}", 0, "{port} only together with a fixed port or port=range(8765, 8773)"),
    ],
)
def test_placeholders_that_have_no_value(parameter: str, more: str, port: Any, words: str) -> None:
    text = f"wss://audio.example.com/{more}" if parameter == "public_url" else f"/{more}"
    with pytest.raises(InvalidParameter) as caught:
        AudioServer(port=port, **{parameter: text})  # type: ignore[arg-type]
    assert caught.value.parameter == parameter
    assert text in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        *("wss://audio.example.com:{port}0/", "wss://u:{port}@a.example/", "{port}", "ws://{hostname}/"),
        *("wss://[2001:db8::{port}]/", "wss://[{port}]/", "wss://[2001:db8::1/{port}"),
    ],
)
def test_urls_that_are_wrong_with_a_port_as_well(text: str) -> None:
    with pytest.raises(InvalidParameter, match="wss://host"):
        AudioServer(port=range(8765, 8773), public_url=text)


@pytest.mark.parametrize("path", ["audio", "/a b", "/é", "/a?b", "/a?", "/a#b", "/a\r\nb", "/a\n", 5])
def test_paths_that_never_arrive(path: Any) -> None:
    with pytest.raises(InvalidParameter, match="percent-encoded") as caught:
        AudioServer(path=path)
    assert caught.value.parameter == "path"


def test_urls_that_are_wrong_with_another_port_of_the_range() -> None:
    AudioServer(port=range(9998, 10000), public_url="wss://audio.example.com:5{port}/")
    with pytest.raises(InvalidParameter, match="wss://host"):
        AudioServer(port=range(9998, 10001), public_url="wss://audio.example.com:5{port}/")


@pytest.mark.parametrize(
    "name", ["media 1", "media.example.com", "-media", "media-", "x" * 64, "a/b", "médias", "{port}"]
)
def test_names_of_hosts_that_are_no_label(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    AudioServer(port=8765, public_url=PUBLIC)  # the name is not needed here
    monkeypatch.setenv(HOSTNAME, name)
    with pytest.raises(InvalidParameter) as caught:
        AudioServer(public_url="wss://audio.example.com/{hostname}")
    assert caught.value.parameter == HOSTNAME
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("given", [None, ""])
def test_the_name_of_this_machine_is_the_default(given: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(HOSTNAME, raising=False)
    if given is not None:
        monkeypatch.setenv(HOSTNAME, given)
    monkeypatch.setattr(socket, "gethostname", lambda: "Media-1")
    with AudioServer(public_url="wss://audio.example.com/{hostname}") as audio:
        assert audio.url == "wss://audio.example.com/Media-1"
    monkeypatch.setattr(socket, "gethostname", lambda: "media-1.example.com")
    with pytest.raises(InvalidParameter, match="RELAY_HOSTNAME"):
        AudioServer(public_url="wss://audio.example.com/{hostname}")


def test_a_receiver_that_is_not_started_is_known_at_each_address_it_may_get(ports: range) -> None:
    audio, other = AudioServer(port=ports), f"ws://127.0.0.1:{ports[-1] + 1}/audio"
    named = AudioServer(port=range(1, 65536), public_url="wss://audio-{port}.example.com")
    assert "is not started" in receivers.asleep_at("wss://audio-65535.example.com")
    assert not receivers.asleep_at("wss://audio-65536.example.com")
    named.close()
    urls = [f"ws://127.0.0.1:{port}/audio" for port in ports]
    assert all("is not started" in receivers.asleep_at(url) for url in urls)
    assert not receivers.asleep_at(other)
    with audio:
        assert not any(map(receivers.asleep_at, urls))
    assert [receivers.asleep_at(url) for url in urls] == ["is closed", "", "", ""]


# -- tokens of other processes -------------------------------------------------------------------------------------------


@define
class Refusal:
    """How an upgrade ends, and what the log says of it."""

    status: str
    level: int | None
    words: str = ""


UNKNOWN = "Authorization: Bearer of-another-process"
FIXED: dict[str, tuple[str, Refusal]] = {
    "unknown": (UNKNOWN, Refusal("401", logging.WARNING, "unknown bearer token")),
    "no token there": ("Authorization: Bearer", Refusal("401", logging.WARNING, "does not have the form Bearer TOKEN")),
    "two words": ("Authorization: Bearer a b", Refusal("401", logging.WARNING, "does not have the form")),
    "a tab": ("Authorization: bearer\ta", Refusal("401", logging.WARNING, "does not have the form")),
    "not ASCII": ("Authorization: Bearer caf\xe9", Refusal("401", logging.WARNING, "does not have the form")),
    "sent twice": (
        "Authorization: Bearer a\r\nAuthorization: Bearer b",
        Refusal("401", logging.WARNING, "not have the form"),
    ),
    "of a proxy": ("Authorization: Basic dXNlcjpwdw==", Refusal("101", None)),
    "another scheme": ("Authorization: BearerToken a", Refusal("101", None)),
    "none": ("X: y", Refusal("101", None)),
}
IN_A_RANGE = {**FIXED, "unknown": (UNKNOWN, Refusal("403", logging.INFO, "another process of the port range"))}


@pytest.mark.parametrize("kind", FIXED)
@pytest.mark.parametrize("choice", ["fixed", "one of a range", "a range of one"])
def test_what_is_said_to_a_token_that_is_unknown_or_none(
    kind: str, choice: str, ports: range, caplog: pytest.LogCaptureFixture
) -> None:
    port: int | range = ports[:1] if choice == "a range of one" else ports if choice == "one of a range" else ports[0]
    header, expected = (FIXED if choice == "fixed" else IN_A_RANGE)[kind]
    caplog.set_level(logging.INFO, "relay_sync.audio")
    with AudioServer(port=port) as audio:
        caplog.clear()
        for _ in range(3):
            assert ask(audio.port, header).split()[1] == expected.status
    found = [each for each in caplog.records if "rejected" in each.getMessage()]
    assert [each.levelno for each in found] == ([expected.level] if expected.level else [])  # once a minute
    assert all(expected.words in each.getMessage() for each in found)


@pytest.mark.parametrize("header", [UNKNOWN, "Authorization: Bearer", "Authorization: Basic dXNlcjpwdw==", "X: y"])
def test_a_server_with_a_token_of_its_own_takes_no_other(header: str, ports: range) -> None:
    with AudioServer(port=ports, token="of-all-processes") as audio:
        assert ask(audio.port, header).split()[1] == ("403" if header == UNKNOWN else "401")
        assert is_taken(audio.port, "Authorization: Bearer of-all-processes", f"Origin: {EVIL}", "Host: evil.example")


@pytest.mark.parametrize("choice", ["fixed", "one of a range"])
def test_statistics_count_unknown_tokens(choice: str, ports: range) -> None:
    """Those of another process, too: it is how one sees that a proxy does not route by path."""
    with AudioServer(port=ports if choice == "one of a range" else ports[0]) as audio:
        for _ in range(3):
            ask(audio.port, UNKNOWN)
        assert audio.stats().refused == {"token": 3}


def test_a_listen_in_vain_counts_the_streams_of_other_processes(ports: range) -> None:
    with AudioServer(port=ports) as audio, pytest.raises(StreamFailed) as caught:
        audio.listen(Misrouted(audio.port, (UNKNOWN,), times=3), timeout=0.2)
    assert str(caught.value).endswith("3 connections with unknown tokens arrived: does the proxy route by path?")


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (
            "Authorization: Bearer",
            "connections with a malformed Authorization header arrived: does the proxy change the header?",
        ),
        ("Authorization: Basic dXNlcjpwdw==", "connections without a token arrived: does the proxy forward"),
    ],
)
def test_a_listen_in_vain_counts_what_came_instead_of_its_token(header: str, words: str) -> None:
    with AudioServer() as audio, pytest.raises(StreamFailed) as caught:
        audio.listen(Misrouted(audio.port, (header,), times=2), timeout=0.2)
    assert f"2 {words}" in str(caught.value)


def test_each_mistake_of_a_proxy_is_a_line_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever mends one of them sees the next one at once, whatever health checks and scanners ask for meanwhile."""
    key, upgrade = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "Upgrade: websocket\r\n"
    mistakes: dict[str, str] = {
        "a plain HTTP request": "GET / HTTP/1.1\r\n",
        "the Upgrade header is missing": f"GET /audio HTTP/1.0\r\nConnection: close\r\n{key}",
        "proxy_http_version 1.1;": f"GET /audio HTTP/1.0\r\n{upgrade}Connection: upgrade\r\n{key}",
        "the header Connection: Upgrade": f"GET /audio HTTP/1.1\r\n{upgrade}Connection: close\r\n{key}",
        "PROXY protocol": "PROXY TCP4 192.0.2.1 192.0.2.2 5 6\r\n",
        "the path is not /audio": f"GET /1/audio HTTP/1.1\r\n{upgrade}Connection: upgrade\r\n{key}",
        "sent TLS to this plain port": "\x16\x03\x01\x02\0",
        "the form Bearer TOKEN": f"GET /audio HTTP/1.1\r\n{upgrade}Authorization: Bearer\r\n{key}",
    }
    sends: Callable[[str], bytes] = lambda text: (text + "\r\n").encode("latin-1")  # noqa: E731
    with AudioServer() as audio:
        for _ in range(2):
            for text in mistakes.values():
                with socket.create_connection(("127.0.0.1", audio.port), PATIENCE) as peer:
                    peer.sendall(sends(text))
                    assert peer.recv(4096).startswith(b"HTTP/1.1 4")
    lines = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert len(lines) == len(mistakes)
    assert all(words in line for words, line in zip(mistakes, lines, strict=True))
