"""Storage for finished recordings, served at ``/recordings/<id>.wav`` with support for range requests.

A recording's URL is derived from its ID, so it is known before the recording finishes. Downloads require no credentials. As on
the platform, recordings are protected only by their unguessable URLs.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections import OrderedDict

from attrs import define, field

from ...server.http import HttpRequest, Response

__all__ = ["Recordings"]

PLACE = "/recordings/"
MOST_BYTES = 256 * 2**20  # maximum total size; when it is exceeded, the oldest recordings are removed
_RANGE = re.compile(r"bytes=([0-9]{1,15})-([0-9]{0,15})")


@define(eq=False)
class Recordings:
    """Finished recordings by ID. Used only on the loop thread.

    :ivar base: scheme, host and port of the URLs; set when the simulator starts listening.
    """

    base: str = ""
    _files: OrderedDict[str, bytes] = field(factory=OrderedDict, init=False, repr=False)
    _size: int = field(default=0, init=False)

    def new_id(self) -> str:
        """Return an ID for a new recording."""
        return str(uuid.uuid4())

    def url(self, recording_id: str) -> str:
        """Return a recording's URL, whether or not the recording has finished."""
        return f"{self.base}{PLACE}{recording_id}.wav"

    def add(self, recording_id: str, wav: bytes) -> str:
        """Store a finished recording and return its URL."""
        self._size += len(wav) - len(self._files.pop(recording_id, b""))
        self._files[recording_id] = wav
        while self._size > MOST_BYTES and len(self._files) > 1:
            self._size -= len(self._files.popitem(last=False)[1])
        return self.url(recording_id)

    def answer(self, request: HttpRequest) -> Response | None:
        """Return the response to a request, or ``None`` if its path is not below ``/recordings/``."""
        if not request.path.startswith(PLACE):
            return None
        if request.method not in ("GET", "HEAD"):
            return Response(405, {"Allow": "GET, HEAD"}, b"recordings are read-only: use GET or HEAD\n")
        wav = self._files.get(request.path.removeprefix(PLACE).removesuffix(".wav"))
        if wav is None:
            return Response(404, {}, b"no such recording\n")
        tag = f'"{hashlib.sha256(wav).hexdigest()[:32]}"'
        headers = {"Content-Type": "audio/wav", "ETag": tag, "Accept-Ranges": "bytes"}
        wanted = _RANGE.fullmatch(request.headers.get("range", ""))
        if wanted is None or request.headers.get("if-range", tag) != tag:
            return Response(200, headers, wav)
        first = int(wanted[1])
        last = min(int(wanted[2]) if wanted[2] else len(wav) - 1, len(wav) - 1)
        if first > last:
            return Response(416, {**headers, "Content-Range": f"bytes */{len(wav)}"})
        return Response(206, {**headers, "Content-Range": f"bytes {first}-{last}/{len(wav)}"}, wav[first : last + 1])
