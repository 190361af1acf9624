"""Stream a call's audio to a WebSocket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from ...params import values
from ..actions import OnCompleted, StreamAction
from .base import ADDRESS, Verbs

__all__ = ["Codec", "StreamVerbs", "Track"]

Track = Literal["inbound", "outbound", "both", "inbound_track", "outbound_track", "both_tracks"]
Codec = Literal["PCMU", "PCMA", "OPUS", "L16", "G722", "L16@16000h", "L16@24000h"]


class StreamVerbs(Verbs):
    """``calling.stream``: a one-way copy of the call's audio. To send audio back, connect the call to a stream device instead."""

    def stream(
        self,
        url: str,
        *,
        name: str | None = None,
        codec: Codec | str | None = None,
        track: Track | str | None = None,
        status_url: str | None = None,
        status_url_method: Literal["GET", "POST"] | str | None = None,
        authorization_bearer_token: str | None = None,
        custom_parameters: Mapping[str, Any] | None = None,
        control_id: str | None = None,
        on_completed: OnCompleted | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> StreamAction:
        """Start streaming the call's audio to a WebSocket (``calling.stream``). Several streams may run on one call.

        A stream whose URL the platform cannot open also ends as ``finished``; its result then has the ``reason``
        ``never_streamed``. ``docs/wire.md`` describes the stream's messages.

        :param url: absolute ``wss://host[:port]/path``; ``ws://`` only for loopback.
        :param name: label that the stream's events repeat.
        :param codec: ``PCMU``, ``PCMA``, ``OPUS``, ``L16`` or ``G722`` in any case, optionally with ``@<hz>h`` and ``@<ms>i``, as
            in ``L16@16000h@40i``; defaults to the call's codec.
        :param track: ``inbound`` (audio from the party on this call; the default), ``outbound`` (audio that this party hears) or
            ``both``.
        :param status_url: http(s) URL that the platform notifies of the states ``streaming`` and ``finished``.
        :param status_url_method: HTTP method of these notifications: ``POST`` (the default) or ``GET``.
        :param authorization_bearer_token: bare token, sent as ``Authorization: Bearer ...`` in the upgrade request.
        :param custom_parameters: JSON object that the receiver gets in the ``start`` message. Use text values: others may not
            arrive unchanged.
        :param control_id: id of the new action, unique on this call; defaults to a generated UUID.
        :param on_completed: called once with the terminal event, however the action ends.
        :param extra: additional wire parameters that this SDK does not define.
        :return: the action; it ends as ``finished``, with the call, or with the session. It has already ended if the call has, or
            if the server answered 404 or 410 for a live call (``error`` is then the refusal).
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command (400, 402, 409, ...); no action was started.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout; a stream that starts late is stopped.
        """
        params = {
            "url": values.stream_url(url),
            "name": values.text("name", name),
            "codec": values.codec(codec),
            "track": values.track(track),
            "status_url": values.http_url("status_url", status_url),
            "status_url_method": values.choice("status_url_method", status_url_method, ("GET", "POST")),
            "authorization_bearer_token": values.bearer_token(authorization_bearer_token),
            "custom_parameters": values.json_object("custom_parameters", custom_parameters),
        }
        return self._core.start(
            StreamAction,
            values.merge_extra(params, extra, ADDRESS),
            control_id=control_id,
            on_completed=on_completed,
        )
