"""Outbound messages: ``messaging.send``."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from ...params.parties import is_phone_number, is_sender
from ..people.post import MessagePlan
from .request import CommandRequest, Handler

__all__ = ["HANDLERS", "refused"]


def refused(request: CommandRequest) -> bool:
    """Refuse a message without content, or with an invalid number. Return whether it was refused.

    As documented, a message needs a body or media.
    """
    params = request.params
    if not params.get("body") and not params.get("media"):
        request.refuse(400, "body or media is required", {"body": "body or media is required"})
        return True
    for name, good in (("to_number", is_phone_number), ("from_number", is_sender)):
        if not good(params[name]):
            request.refuse(400, f"{name} is not a phone number", {name: f"{name} is not a phone number"})
            return True
    return False


def _send(request: CommandRequest) -> None:
    """Accept a message, reply with its ID, and start delivering it."""
    post, params = request.platform.post, request.params
    if refused(request):
        return
    message_id = str(uuid.uuid4())
    plan = post.plan_for(params["to_number"])
    if request.fault is not None and request.fault.kind == "break":
        details = {"message_state": "failed", "reason": "error", **(request.fault.data or {})}
        plan = MessagePlan(ends=details.pop("message_state"), reason=details.pop("reason"), details=details)
    arguments: Any = (request.session, params, message_id, plan)
    if plan.before_reply:
        post.send(*arguments)
        request.accept(message_id=message_id)
    else:
        request.accept(message_id=message_id)
        post.send(*arguments)


HANDLERS: Mapping[str, Handler] = {"messaging.send": _send}
