"""The address of the health server, in all of its forms."""

from __future__ import annotations

import pytest

from relay_sync import InvalidParameter
from relay_sync.health.address import parse_address


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("9100", ("127.0.0.1", 9100)),
        (":9100", ("127.0.0.1", 9100)),
        ("0", ("127.0.0.1", 0)),
        ("127.0.0.1:9100", ("127.0.0.1", 9100)),
        ("0.0.0.0:9100", ("0.0.0.0", 9100)),
        ("[::1]:9100", ("::1", 9100)),
        ("[::]:9100", ("::", 9100)),
        ("localhost:9100", ("localhost", 9100)),
        ("Metrics.Example.com:9100", ("metrics.example.com", 9100)),
    ],
)
def test_accepted(text: str, found: tuple[str, int]) -> None:
    assert parse_address(text) == found


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            ":",
            "9100x",
            "-1",
            "65536",
            ":65536",
            "localhost",
            "localhost:",
            "::1:9100",
            "[::1]",
            "[::1]9100",
            " 9100",
        ),
        *(
            "http://127.0.0.1:9100",
            "127.0.0.1:9100/live",
            "a b:9100",
            "user@host:9100",
            "*:9100",
            "[localhost]:9100",
            "a:1:2",
        ),
        *("9100\n", "٩١٠٠", "host_name:port", "256.0.0.1:9100x"),
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match=r"expected HOST:PORT, such as 0\.0\.0\.0:9100") as caught:
        parse_address(text)
    assert caught.value.value == text
