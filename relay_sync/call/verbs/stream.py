"""Call method that streams the audio to a WebSocket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from ... import events
from ...constants import Codec, Track
from ...params import values
from ..actions import StreamAction
from .base import ADDRESS, Verbs

__all__ = ["StreamVerbs"]


class StreamVerbs(Verbs):
    """Method that streams a one-way copy of the audio. For a two-way stream, connect the call to a stream device."""

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
        on_completed: Callable[[events.StreamEvent], object] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> StreamAction:
        """Stream the call's audio to a WebSocket (``calling.stream``).

        Several streams can run at the same time. If the platform cannot connect to the WebSocket, the stream's final state is
        still ``finished``, but the result's ``reason`` is ``never_streamed``. The platform sends JSON messages:
        ``connected``, ``start``, ``media`` with base64-encoded audio, and ``stop``. ``AudioServer`` receives them.

        :param url: absolute URL, ``wss://host[:port]/path``. ``ws://`` is only allowed for loopback addresses.
        :param name: name of the stream, included in its events.
        :param codec: ``PCMU``, ``PCMA``, ``OPUS``, ``L16`` or ``G722`` (case-insensitive), optionally with a sample rate and a
            ptime, as in ``L16@16000h@40i``; defaults to the call's codec.
        :param track: ``inbound``: the audio of the remote party; ``outbound``: the audio that this party hears;
            or ``both``. The default is ``inbound``.
        :param status_url: HTTP or HTTPS URL that receives status callbacks for the ``streaming`` and ``finished`` states.
        :param status_url_method: HTTP method of the status callbacks: ``POST`` (the default) or ``GET``.
        :param authorization_bearer_token: token to send in the ``Authorization: Bearer`` header of the upgrade request.
        :param custom_parameters: JSON object to include in the ``start`` message. Use strings as values, because the platform may
            convert other types.
        :param control_id: ID of the new action, unique within the call; defaults to a random UUID.
        :param on_completed: function to call with the final event when the action ends, whether or not it succeeded.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the running action. It ends when the stream, the call or the session ends. If the call has already ended, the
            returned action has ended too. If the server replied with 404 or 410 even though the call is active, ``error`` is set.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command, for example with the code 400, 402 or 409; no action was started.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout. If the stream starts later, it is stopped.
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
