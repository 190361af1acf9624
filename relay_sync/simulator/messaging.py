"""Methods that are not about one call and whose acknowledgement carries more than words."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from .request import Handler, Request

__all__ = ["HANDLERS"]


def _send(request: Request) -> None:
    """A message is taken on: the reply names it. One without a body and without media is refused, as documented."""
    if not request.params.get("body") and not request.params.get("media"):
        request.refuse(400, "body or media is required", {"body": "body or media is required"})
        return
    request.accept(message_id=str(uuid.uuid4()))


HANDLERS: Mapping[str, Handler] = {"messaging.send": _send}
