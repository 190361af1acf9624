"""Start and stop streams on live calls that other processes own: a Flask application without a RELAY connection.

    export RELAY_AUDIO_TOKEN=... CONTROL_TOKEN=...
    flask --app control_flask run

``control_owner.py`` owns the calls. docs/control.md describes the two programs.

=====================================  ========================================
``GET /calls``                         the live calls
``POST /calls/<call_id>/stream``       start a stream: 201; 409 if one is running
``POST /calls/<call_id>/stream/stop``  stop it: 200, also if none is running
=====================================  ========================================
"""

from __future__ import annotations

import hmac
import os
import uuid
from typing import Any

import control_calls
from flask import Flask, request

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

Answer = tuple[dict[str, Any], int]


def create_app() -> Flask:
    app = Flask(__name__)
    control_token = os.environ["CONTROL_TOKEN"]  # of this application's users
    audio_token = os.environ["RELAY_AUDIO_TOKEN"]  # of the receiver, which the platform presents to it
    if len(control_token) < 20:
        raise ValueError("CONTROL_TOKEN: expected at least 20 characters")
    rest = RestClient(request_timeout=8)  # seconds: shorter than the time that the web server gives a request

    @app.before_request
    def authorize() -> Answer | None:
        # Browsers do not send this header for other sites' pages, so the application needs no CSRF tokens.
        given = request.headers.get("Authorization", "")
        if hmac.compare_digest(given.encode(), f"Bearer {control_token}".encode()):
            return None
        return {"error": "send the header Authorization: Bearer <CONTROL_TOKEN>"}, 401

    @app.get("/calls")
    def calls() -> dict[str, Any]:
        return {"calls": [shown(call) for call in control_calls.live()]}

    @app.post("/calls/<call_id>/stream")
    def start(call_id: str) -> Answer:
        call = control_calls.find(call_id)
        if call is None:  # the table limits which of the project's calls users can control
            return {"error": "there is no such call, or it has ended"}, 404
        control_id = str(uuid.uuid4())
        # The ID is stored before the command is sent, so that the stream can be stopped even if the reply is lost.
        if not control_calls.claim_stream(call_id, control_id):
            return {"error": "the call already has a stream: stop it first"}, 409
        try:
            rest.call(call_id).stream(
                call["audio_url"],  # never an address from the request
                track="both",
                codec="PCMU",
                authorization_bearer_token=audio_token,
                control_id=control_id,
                custom_parameters={"control_id": control_id},  # which tells the receiver which stream this is
            )
        except RelayError as error:
            if not may_have_started(error):
                control_calls.release_stream(control_id)
            if isinstance(error, CommandRefused) and error.code == 404:
                control_calls.remove(call_id)
            raise
        return shown({**call, "control_id": control_id}), 201

    @app.post("/calls/<call_id>/stream/stop")
    def stop(call_id: str) -> Answer:
        call = control_calls.find(call_id)
        if call is None:
            return {"error": "there is no such call, or it has ended"}, 404
        if call["control_id"] is not None:
            try:
                rest.call(call_id).stream_stop(call["control_id"])
            except CommandRefused as error:
                if error.code != 404:  # the stream or the call has ended, so there is nothing to stop
                    raise
            control_calls.release_stream(call["control_id"])
        return shown({**call, "control_id": None}), 200

    @app.errorhandler(RelayError)
    def failed(error: RelayError) -> Answer:
        status, text = answer_to(error)
        app.logger.warning("%s %s: %d: %s", request.method, request.path, status, error)
        return {"error": text}, status

    return app


def shown(call: dict[str, Any]) -> dict[str, Any]:
    """Return the columns that users may see."""
    return {name: call[name] for name in control_calls.SHOWN}


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
            return 404, "there is no such call, or it has ended"
        return 502, f"the platform refused: {error.message}"
    if isinstance(error, ConnectError):
        return 503, "the platform cannot be reached, and nothing was sent: try again"
    return 504, "the platform did not confirm the command and may have executed it: stop the stream to be sure"
