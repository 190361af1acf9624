"""A recording to download, and parts of it as a server answers with them."""

from __future__ import annotations

from tests.support.scripted_http import Act, Scripted

WHOLE = bytes(range(256)) * 1000

TAG = '"one"'


def url_of(server: Scripted, path: str = "/recordings/r.wav?token=tell-nobody") -> str:
    return "http" + server.host.removeprefix("ws") + path


def part(size: int, *, start: int = 0, whole: bytes = WHOLE, tag: str = TAG) -> Act:
    """Announce what is left from ``start`` on, and send ``size`` bytes of it."""
    lines = [f"HTTP/1.1 {206 if start else 200} Said", f"Content-Length: {len(whole) - start}", f"ETag: {tag}"]
    if start:
        lines.append(f"Content-Range: bytes {start}-{len(whole) - 1}/{len(whole)}")
    head = "\r\n".join([*lines, "Content-Type: audio/wav", "", ""]).encode()
    return lambda peer: peer.sendall(head + whole[start : start + size])


def header(request: bytes, name: str) -> str:
    for each in request.split(b"\r\n"):
        if each.lower().startswith(f"{name.lower()}:".encode()):
            return each.partition(b":")[2].strip().decode()
    return ""


def port_of(server: Scripted) -> str:
    return server.host.rpartition(":")[2]
