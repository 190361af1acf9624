"""Heads of requests and answers, whole or hostile."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_sync.server.http import (
    MAX_HEAD,
    BadRequest,
    Headers,
    HttpRequest,
    Response,
    body_length,
    head_end,
    parse_request,
    parse_status,
)


def test_a_request_taken_apart() -> None:
    head = (
        b"GET /a%20b?x=1&y HTTP/1.1\r\nHost: h\r\nAUTHORIZATION:  Bearer t \r\nUpgrade: WebSocket\r\n"
        b"X-Two: a\r\nx-two: b\r\n\r\n"
    )
    request = parse_request(head, "1.2.3.4:5")
    assert (request.method, request.path, request.query, request.remote) == ("GET", "/a%20b", "x=1&y", "1.2.3.4:5")
    assert request.headers["authorization"] == request.headers["Authorization"] == "Bearer t"
    assert request.headers["X-TWO"] == "a, b"
    assert request.is_upgrade
    assert set(request.headers) == {"host", "authorization", "upgrade", "x-two"}


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [("http://h", "/", ""), ("http://h?q=1", "/", "q=1"), ("wss://h:1/", "/", ""), ("//h/x", "//h/x", "")],
)
def test_targets(target: str, path: str, query: str) -> None:
    request = parse_request(f"GET {target} HTTP/1.1\r\n\r\n".encode())
    assert (request.path, request.query) == (path, query)


def test_neither_headers_nor_query_are_shown() -> None:
    request = parse_request(b"GET /p?token=tell-nobody HTTP/1.1\r\nAuthorization: Bearer tell-nobody\r\n\r\n")
    assert "tell-nobody" not in repr(request)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET / x HTTP/1.1\r\n\r\n", 400),
        (b"G\x01T / HTTP/1.1\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nbad name: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n folded: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nx: a\x00b\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
    ],
)
def test_what_is_not_a_request(head: bytes, status: int) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_request(head)
    assert caught.value.status == status


def test_where_the_head_ends() -> None:
    assert head_end(b"GET / HTTP/1.1\r\n") == -1
    assert head_end(b"GET / HTTP/1.1\r\n\r\nrest") == 18
    assert head_end(b"x" * MAX_HEAD) == -1
    for endless in (b"x" * (MAX_HEAD + 1), b"x" * (MAX_HEAD + 1) + b"\r\n\r\n"):
        with pytest.raises(BadRequest) as caught:
            head_end(endless)
        assert caught.value.status == 431


def test_a_response_on_the_wire() -> None:
    plain = Response(200, {}, b"ok\n").serialize()
    assert plain.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nContent-Length: 3\r\nConnection: close\r\n" in plain
    assert plain.endswith(b"\r\n\r\nok\n")
    assert Response(200, {}, b"ok\n").serialize(head_only=True).endswith(b"\r\n\r\n")
    own = Response(599, {"Connection": "x", "content-type": "y"}, b"z").serialize()
    assert own.startswith(b"HTTP/1.1 599 \r\n")
    assert own.lower().count(b"connection:") == own.lower().count(b"content-type:") == 1
    assert b"\r\nX: 5 ? \xe9\r\n" in Response(200, {"X": "5 \u20ac \xe9"}).serialize()
    with pytest.raises(ValueError, match="line break"):
        Response(200, {"X": "a\r\nEvil: b"}).serialize()


def test_an_answers_status() -> None:
    assert parse_status(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n") == (
        101,
        Headers([("Upgrade", "websocket")]),
    )
    assert parse_status(b"HTTP/1.0 401\r\n\r\n")[0] == 401
    for wrong in (b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 99 x\r\n\r\n", b"HTTP/2 200\r\n\r\n"):
        with pytest.raises(BadRequest):
            parse_status(wrong)


def _outcome(head: bytes) -> int:
    try:
        return 200 if isinstance(parse_request(head), HttpRequest) else 0
    except BadRequest as error:
        return error.status


@given(st.binary(max_size=300))
def test_any_bytes_are_a_request_or_a_refusal(noise: bytes) -> None:
    assert _outcome(noise) in (200, 400, 505)
    assert _outcome(b"GET / HTTP/1.1\r\n" + noise + b"\r\n\r\n") in (200, 400)


@pytest.mark.parametrize(
    ("lines", "length"),
    [
        ("", 0),
        ("Content-Length: 0\r\n", 0),
        ("Content-Length: 100\r\n", 100),
        ("Content-Length: 100\r\nUpgrade: websocket\r\n", 0),
    ],
)
def test_how_long_a_body_is(lines: str, length: int) -> None:
    request = parse_request(f"POST / HTTP/1.1\r\n{lines}\r\n".encode())
    assert body_length(request, 100) == length


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ("Content-Length: 101\r\n", 413),
        ("Content-Length: 99999999999999999999\r\n", 400),
        ("Content-Length: -1\r\n", 400),
        ("Content-Length: 1\r\nContent-Length: 1\r\n", 400),
        ("Content-Length: \xb2\r\n", 400),
        ("Transfer-Encoding: chunked\r\n", 411),
    ],
)
def test_bodies_that_are_not_taken(lines: str, status: int) -> None:
    request = parse_request(f"POST / HTTP/1.1\r\n{lines}\r\n".encode("latin-1"))
    with pytest.raises(BadRequest) as caught:
        body_length(request, 100)
    assert caught.value.status == status
