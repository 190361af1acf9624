"""Which web pages may talk to a server that asks for no token."""

from __future__ import annotations

import pytest

from relay_sync.hosts.origins import refusal

PUBLIC = "wss://audio.example.com/in"


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (None, None),  # no browser
        (None, "127.0.0.1:8765"),
        ("", "127.0.0.1:8765"),
        ("http://127.0.0.1:8765", "127.0.0.1:8765"),
        ("http://localhost:8765", "localhost:8765"),
        ("http://LOCALHOST:8765", "localhost.:8765"),
        ("http://[::1]:8765", "[::1]:8765"),
        ("http://[0:0::1]:8765", "[::1]:8765"),
        ("ws://127.0.0.1:8765", "127.0.0.1:8765"),  # as clients other than browsers write it
        ("wss://audio.example.com", "127.0.0.1:8765"),
        ("http://127.0.0.1", "127.0.0.1"),
        ("http://127.0.0.1", "127.0.0.1:80"),
        ("https://127.0.0.1", "127.0.0.1:443"),
        ("https://audio.example.com", "127.0.0.1:8765"),  # a proxy rewrote Host
        ("https://audio.example.com:443", "audio.example.com"),
        ("https://audio.example.com", "audio.example.com"),
        (None, "audio.example.com"),
        (None, "Audio.Example.com.:443"),
    ],
)
def test_these_may(origin: str | None, host: str | None) -> None:
    assert refusal(origin, host, on_loopback=True, public_url=PUBLIC) is None


@pytest.mark.parametrize("public", ["wss://[2001:DB8:0::0:7]:8443/in", "wss://[2001:db8::7]:8443/in"])
def test_a_public_address_in_any_of_its_spellings(public: str) -> None:
    origin, host = "https://[2001:db8::7]:8443", "[2001:db8::7]:8443"
    assert refusal(origin, host, on_loopback=True, public_url=public) is None
    assert refusal(origin, "127.0.0.1:8765", on_loopback=True, public_url=public) is None
    assert refusal("https://[2001:db8::8]:8443", host, on_loopback=True, public_url=public) is not None


@pytest.mark.parametrize(
    ("origin", "host", "parameter"),
    [
        ("https://evil.example", "127.0.0.1:8765", "origins="),
        ("https://evil.example", None, "origins="),
        ("wss://evil.example", "127.0.0.1:8765", "origins="),
        ("ws://audio.example.com", "127.0.0.1:8765", "origins="),
        ("null", "127.0.0.1:8765", "origins="),  # a sandboxed frame, or a file
        ("http://127.0.0.1:3000", "127.0.0.1:8765", "origins="),  # another server on this machine
        ("http://localhost:8765", "127.0.0.1:8765", "origins="),
        ("http://audio.example.com", "127.0.0.1:8765", "origins="),  # not over TLS: somebody else's page
        ("https://audio.example.com:8443", "127.0.0.1:8765", "origins="),
        ("https://audio.example.com.evil.example", "127.0.0.1:8765", "origins="),
        ("https://127.0.0.1:8765.evil.example", "127.0.0.1:8765", "origins="),
        ("https://evil.example@127.0.0.1:8765", "127.0.0.1:8765", "origins="),
        ("http://127.0.0.1:8765, https://evil.example", "127.0.0.1:8765", "origins="),  # sent twice
        ("http://127.0.0.1:8765/", "127.0.0.1:8765", "origins="),
        ("chrome-extension://abcdef", "127.0.0.1:8765", "origins="),
        ("nonsense", "127.0.0.1:8765", "origins="),
        ("http://evil.example:8765", "evil.example:8765", "hosts="),  # DNS rebinding
        (None, "evil.example:8765", "hosts="),
        (None, "localhost.evil.example", "hosts="),
        (None, "a.localhost", "hosts="),
        (None, "0.0.0.0:8765", "hosts="),
        (None, "192.168.0.7:8765", "hosts="),
        (None, "127.0.0.1, evil.example", "hosts="),
        (None, "127.0.0.1:99999", "hosts="),
        (None, "[::1", "hosts="),
        (None, "evil.example@127.0.0.1", "hosts="),
    ],
)
def test_these_may_not(origin: str | None, host: str | None, parameter: str) -> None:
    why = refusal(origin, host, on_loopback=True, public_url=PUBLIC)
    assert why is not None
    assert parameter in why
    for value in (origin, host):
        assert (value or "none") in why


def test_elsewhere_than_on_loopback_any_name_may_be_asked_for() -> None:
    for host in ("192.168.0.7:8765", "audio.example.com", "evil.example", "[fe80::1]:8765"):
        assert refusal(None, host, on_loopback=False) is None
        assert refusal(f"http://{host}", host, on_loopback=False) is None
        assert refusal("https://other.example", host, on_loopback=False) is not None


def test_a_header_cannot_forge_a_line_of_the_log() -> None:
    why = refusal("https://evil.example\n2026 INFO all is well" + "x" * 5000, "127.0.0.1", on_loopback=True)
    assert why is not None
    assert why.isprintable()
    assert len(why) < 500
