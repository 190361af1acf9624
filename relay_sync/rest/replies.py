"""Parse replies and errors of the REST API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen

from ..errors import AuthenticationError, CommandRefused
from ..protocol.depth import is_deeper
from ..protocol.frames import mask
from ..protocol.results import result_or_error
from ..text.json_text import read_leniently
from ..text.surrogates import mend_json

__all__ = ["CallInfo", "read_call", "refusal"]

DEEPEST: Final = 64


@frozen(kw_only=True)
class CallInfo:
    """The platform's record of a call, as returned by a command. Missing strings are ``""``.

    :ivar call_id: ID of the call, which is the same as in ``Call`` and in events.
    :ivar status: state of the call, such as ``queued``, ``ringing``, ``answered`` or ``ended``.
    :ivar direction: ``inbound``, ``outbound`` or ``outbound-api``.
    :ivar from_: caller's number or address.
    :ivar to: callee's number or address.
    :ivar type: type of the call, such as ``relay_pstn_call``.
    :ivar created_at: creation time in ISO 8601 format, as sent by the server.
    :ivar parent_id: ID of the parent call, or ``""`` if there is none.
    :ivar duration: duration in seconds, or ``None`` if unknown.
    :ivar members: all members of the record, as sent by the server. ``repr`` omits them.
    """

    call_id: str = ""
    status: str = ""
    direction: str = ""
    from_: str = ""
    to: str = ""
    type: str = ""
    created_at: str = ""
    parent_id: str = ""
    duration: float | None = None
    members: Mapping[str, Any] = field(factory=dict, repr=False)


def read_call(body: bytes, call_id: str) -> CallInfo:
    """Parse the call record in a reply. An invalid body is not an error, because the command was executed.

    :param call_id: ID to use if the reply contains none.
    """
    found = _json(body)
    members: dict[str, Any] = found if isinstance(found, dict) else {}

    def text(name: str) -> str:
        value = members.get(name)
        return value if isinstance(value, str) else ""

    duration = members.get("duration")
    return CallInfo(
        call_id=text("id") or call_id,
        status=text("status"),
        direction=text("direction"),
        from_=text("from"),
        to=text("to"),
        type=text("type"),
        created_at=text("created_at"),
        parent_id=text("parent_id"),
        duration=float(duration) if isinstance(duration, (int, float)) and not isinstance(duration, bool) else None,
        members=members,
    )


def refusal(status: int, body: bytes, *, command: str, call_id: str = "", sent: object = None) -> CommandRefused:
    """Return the exception for an error reply. Its code is the HTTP status.

    :param sent: command's parameters. Their secrets are masked in the server's message.
    """
    if status in (401, 403):
        return AuthenticationError(
            status,
            f"{command} was refused: the space rejected the credentials; check project, token (with the Voice"
            " permission) and host (SIGNALWIRE_PROJECT_ID, SIGNALWIRE_API_TOKEN, SIGNALWIRE_SPACE)",
            method=command,
            call_id=call_id,
        )
    if 300 <= status < 400:
        message = "the server sent a redirect, which the client does not follow; host must be the name of the space"
    else:
        message = _reasons(body) or "no reason given; is host the name of the space?"
    found = result_or_error({"code": str(status), "message": message}, method=command, call_id=call_id, sent=sent)
    assert isinstance(found, CommandRefused)
    return found


def _reasons(body: bytes) -> str:
    found = _json(body)
    errors = found.get("errors") if isinstance(found, dict) else None
    reasons = []
    for each in (errors if isinstance(errors, list) else [])[:5]:
        if isinstance(each, dict) and isinstance(each.get("message"), str):
            where = each.get("attribute")
            reason = str(mask(each["message"]))[:200]
            shown = isinstance(where, str) and where and where not in reason
            reasons.append(f"{str(where)[:50]}: {reason}" if shown else reason)
    if not reasons and isinstance(found, dict) and isinstance(found.get("message"), str):
        reasons = [str(mask(found["message"]))[:200]]
    return "; ".join(reasons)


def _json(body: bytes) -> Any:
    try:
        return None if is_deeper(body, DEEPEST) else read_leniently(mend_json(body.decode()))
    except ValueError:
        return None
