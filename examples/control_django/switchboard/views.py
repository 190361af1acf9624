"""Views that list live calls, and start and stop streams on them. They run in processes that have no RELAY connection.

Users must be signed in as staff. Django's middleware checks the CSRF token of each ``POST``.
"""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Callable
from functools import wraps
from typing import Final

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET, require_POST

from relay_sync import (
    AuthenticationError,
    CommandRefused,
    ConnectError,
    ConnectionLost,
    InvalidParameter,
    RelayError,
    RequestTimeout,
)
from relay_sync.rest import RestClient

from .models import LiveCall

GONE: Final = "there is no such call, or it has ended"
AUDIO_TOKEN: Final = os.environ["RELAY_AUDIO_TOKEN"]  # of the receiver, which the platform presents to it
rest: Final = RestClient(request_timeout=8)  # seconds: shorter than the time that the web server gives a request
log: Final = logging.getLogger(__name__)


def problem(status: int, text: str) -> JsonResponse:
    return JsonResponse({"error": text}, status=status)


def for_staff(view: Callable[..., JsonResponse]) -> Callable[..., JsonResponse]:
    """Allow a view to staff only, and convert the REST client's errors to responses."""

    @wraps(view)
    def checked(request: HttpRequest, **captured: str) -> JsonResponse:
        if not request.user.is_staff:
            return problem(401, "sign in as staff")
        try:
            return view(request, **captured)
        except RelayError as error:
            status, text = answer_to(error)
            log.warning("%s %s: %d: %s", request.method, request.path, status, error)
            return problem(status, text)

    return checked


@require_GET
@ensure_csrf_cookie
@for_staff
def calls(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"calls": [call.shown() for call in LiveCall.objects.order_by("since")]})


@require_POST
@for_staff
def start(request: HttpRequest, call_id: str) -> JsonResponse:
    call = LiveCall.objects.filter(pk=call_id).first()
    if call is None:  # the table limits which of the project's calls users can control
        return problem(404, GONE)
    control_id = str(uuid.uuid4())
    # The ID is stored before the command is sent, so that the stream can be stopped even if the reply is lost.
    if not call.claim_stream(control_id):
        return problem(409, "the call already has a stream: stop it first")
    try:
        rest.call(call_id).stream(
            call.audio_url,  # never an address from the request
            track="both",
            codec="PCMU",
            authorization_bearer_token=AUDIO_TOKEN,
            control_id=control_id,
            custom_parameters={"control_id": control_id},  # which tells the receiver which stream this is
        )
    except RelayError as error:
        if not may_have_started(error):
            LiveCall.release_stream(control_id)
        if isinstance(error, CommandRefused) and error.code == 404:
            call.delete()
        raise
    call.control_id = control_id
    return JsonResponse(call.shown(), status=201)


@require_POST
@for_staff
def stop(request: HttpRequest, call_id: str) -> JsonResponse:
    call = LiveCall.objects.filter(pk=call_id).first()
    if call is None:
        return problem(404, GONE)
    if call.control_id:
        try:
            rest.call(call_id).stream_stop(call.control_id)
        except CommandRefused as error:
            if error.code != 404:  # the stream or the call has ended, so there is nothing to stop
                raise
        LiveCall.release_stream(call.control_id)
        call.control_id = ""
    return JsonResponse(call.shown())


def may_have_started(error: RelayError) -> bool:
    """Whether the platform may have executed the command: its reply was lost, or it reported a failure of its own (5xx)."""
    if isinstance(error, CommandRefused):
        return error.code is None or error.code >= 500
    return isinstance(error, (ConnectionLost, RequestTimeout))


def answer_to(error: RelayError) -> tuple[int, str]:
    """Return the HTTP status and the text for an error of the REST client."""
    if isinstance(error, (AuthenticationError, InvalidParameter)):
        return 500, "this server's settings are wrong: see its log"
    if isinstance(error, CommandRefused) and not may_have_started(error):
        if error.code == 404:
            return 404, GONE
        return 502, f"the platform refused: {error.message}"
    if isinstance(error, ConnectError):
        return 503, "the platform cannot be reached, and nothing was sent: try again"
    return 504, "the platform did not confirm the command and may have executed it: stop the stream to be sure"
