"""The heart: a call's audio on its way to a WebSocket."""

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
    """``calling.stream``: a one-way copy of the call's audio. To send audio back, connect to a stream device instead."""

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
        """Start streaming the call's audio to a WebSocket, and return a handle on that.

        Several streams may run on one call. Parameters that are left out take the platform's default.

        :param url: absolute ``wss://host[:port]/path``; ``ws://`` only for loopback.
        :param name: a label, echoed in the stream's events.
        :param codec: ``PCMU``, ``PCMA``, ``OPUS``, ``L16``, ``G722`` in any case, with ``@<hz>h`` and ``@<ms>i`` behind it,
            as in ``L16@16000h@40i``; the default is the call's own codec.
        :param track: ``inbound`` (what the party on this call says; the default), ``outbound`` (what that party hears), ``both``.
        :param status_url: http(s) URL that is told of ``streaming`` and ``finished``. :param status_url_method: ``POST``
            (the default) or ``GET``.
        :param authorization_bearer_token: sent as ``Authorization: Bearer ...`` in the upgrade request; give the bare token.
        :param custom_parameters: JSON object that the far end gets in its ``start`` message; strings are the safe values.
        :param control_id: an id of your own, not in use on this call; a UUID4 if left out.
        :param on_completed: called once with the terminal event, however the action ends, in the call's lane.
        :param extra: parameters that this SDK does not know yet.
        :return: an action that ends with ``finished``, with the call, or with the session. Where the platform could not open
            the URL it ends with ``finished``, too: the ``reason`` of its result is ``never_streamed`` then. If the call is
            already over it
            has ended when it is returned. So it has where the server answers 404 or 410 and the call is live: then its
            ``error`` is the refusal.
        :raises InvalidParameter: a value that cannot be right; nothing was sent.
        :raises CommandRefused: the server said no (400, 402, 409, ...); there is no action then.
        :raises RequestTimeout: no answer of the server; a stream that starts late is stopped.

        Wire: ``calling.stream`` (STREAM, "Request").
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
