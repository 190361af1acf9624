"""The address of the health server, in all of its forms."""

from __future__ import annotations

import pytest

from relay_sync import InvalidParameter
from relay_sync.health.address import parse_address


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("9700", ("127.0.0.1", 9700)),
        (":9700", ("127.0.0.1", 9700)),
        ("0", ("127.0.0.1", 0)),
        ("127.0.0.1:9700", ("127.0.0.1", 9700)),
        ("0.0.0.0:9700", ("0.0.0.0", 9700)),
        ("[::1]:9700", ("::1", 9700)),
        ("[::]:9700", ("::", 9700)),
        ("localhost:9700", ("localhost", 9700)),
        ("Metrics.Example.com:9700", ("metrics.example.com", 9700)),
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
            "9700x",
            "-1",
            "65536",
            ":65536",
            "localhost",
            "localhost:",
            "::1:9700",
            "[::1]",
            "[::1]9700",
            " 9700",
        ),
        *(
            "http://127.0.0.1:9700",
            "127.0.0.1:9700/live",
            "a b:9700",
            "user@host:9700",
            "*:9700",
            "[localhost]:9700",
            "a:1:2",
        ),
        *("9700\n", "٩١٠٠", "host_name:port", "256.0.0.1:9700x"),
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match=r"expected HOST:PORT, such as 0\.0\.0\.0:9700") as caught:
        parse_address(text)
    assert caught.value.value == text
