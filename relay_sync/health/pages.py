"""The pages of the health server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

from attrs import frozen

from .metrics import METRICS_TYPE, metrics_text
from .verdicts import Overview, Verdict, live, ready

__all__ = ["PATHS", "Page", "page", "text_page"]


@frozen
class Page:
    """Response to a request.

    :ivar status: HTTP status.
    :ivar kind: content type.
    :ivar text: body.
    """

    status: HTTPStatus
    kind: str
    text: str


def text_page(status: HTTPStatus, text: str) -> Page:
    """Return a page of plain text.

    :param status: HTTP status.
    :param text: the body.
    """
    return Page(status, "text/plain; charset=utf-8", text)


def page(path: str, look: Callable[[], Overview]) -> Page:
    """Return the page at a path.

    :param path: request target. A query is ignored.
    :param look: function that returns the current state of the processes.
    """
    make = PATHS.get(path.partition("?")[0])
    if make is None:
        return text_page(HTTPStatus.NOT_FOUND, f"not found; available: {', '.join(PATHS)}\n")
    return make(look())


def _verdict(verdict: Verdict) -> Page:
    status = HTTPStatus.OK if verdict.good else HTTPStatus.SERVICE_UNAVAILABLE
    return text_page(status, "".join(f"{line}\n" for line in verdict.lines))


#: Functions that make the pages, by path.
PATHS: Final[Mapping[str, Callable[[Overview], Page]]] = {
    "/live": lambda overview: _verdict(live(overview)),
    "/ready": lambda overview: _verdict(ready(overview)),
    "/metrics": lambda overview: Page(HTTPStatus.OK, METRICS_TYPE, metrics_text(overview)),
}
