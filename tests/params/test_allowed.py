"""Origins of web pages, and names of a server, that its user allows."""

from __future__ import annotations

from typing import Any

import pytest

from relay_sync import InvalidParameter
from relay_sync.hosts.origins import refusal
from relay_sync.params.allowed import check_hosts, check_origins


def test_what_the_user_adds() -> None:
    origins = check_origins(["http://localhost:3000", "HTTPS://App.Example.com", "null"])
    hosts = check_hosts(["dev.example.com", "other.example.com:8765", "Three.example.com."])
    options: dict[str, Any] = {"on_loopback": True, "origins": origins, "hosts": hosts}
    for origin in ("http://localhost:3000", "https://app.example.com", "https://app.example.com:443", "null"):
        assert refusal(origin, "127.0.0.1:8765", **options) is None
    for origin in ("http://localhost:3001", "https://localhost:3000", "http://app.example.com"):
        assert refusal(origin, "127.0.0.1:8765", **options) is not None
    for host in ("dev.example.com", "DEV.example.com:1", "other.example.com:8765", "three.example.com:5"):
        assert refusal(None, host, **options) is None
    for host in ("other.example.com", "other.example.com:8766", "x.dev.example.com"):
        assert refusal(None, host, **options) is not None
    assert check_origins([]) == check_hosts(()) == frozenset()


@pytest.mark.parametrize(
    "value",
    [
        "https://app.example.com",  # its letters would be taken
        ["app.example.com"],
        ["https://app.example.com/"],
        ["https://app.example.com/page"],
        ["wss://app.example.com"],
        ["*"],
        ["https://*.example.com"],
        ["https://bücher.example"],
        ["https://user@app.example.com"],
        [""],
        "",
        [5],
        5,
        None,
    ],
)
def test_what_is_no_origin_is_refused(value: Any) -> None:
    with pytest.raises(InvalidParameter) as caught:
        check_origins(value)
    assert caught.value.parameter == "origins"


@pytest.mark.parametrize(
    "value", ["dev.example.com", ["https://dev.example.com"], ["*"], ["a/b"], ["a b"], [""], [b"a"], 7]
)
def test_what_is_no_host_is_refused(value: Any) -> None:
    with pytest.raises(InvalidParameter) as caught:
        check_hosts(value)
    assert caught.value.parameter == "hosts"
