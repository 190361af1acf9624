"""Call methods that answer a call, end it, or return it to the platform."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, get_args

from ...constants import CallEndReason, SipCodec
from ...params import values
from .base import ADDRESS, Verbs

__all__ = ["ControlVerbs"]

#: Reasons that a client may specify when it ends a call.
_REASONS: Final = get_args(CallEndReason)
_CODECS: Final = get_args(SipCodec)


class ControlVerbs(Verbs):
    """Methods that answer, end or return the call.

    They return ``{}`` if the server replies that the call no longer exists (404 or 410).
    """

    def answer(
        self,
        *,
        codecs: Iterable[SipCodec | str] | None = None,
        max_duration: int | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Answer an inbound call (``calling.answer``).

        The server reports the ``answered`` state in an event, which may arrive before this method returns.

        :param codecs: accepted codecs in order of preference: ``PCMU``, ``PCMA``, ``OPUS``, ``G729``, ``G722``, ``AMR-WB``,
            ``VP8``, ``H264``.
        :param max_duration: maximum duration of the call, sent to the server unchanged. The platform's documentation is
            inconsistent about the unit: seconds for this command, minutes for similar commands.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {
            "codecs": values.codec_choices("codecs", codecs, _CODECS),
            "max_duration": values.whole("max_duration", max_duration, low=0),
        }
        return self._core.command("calling.answer", values.merge_extra(params, extra, ADDRESS))

    def hangup(self, reason: CallEndReason | str = "hangup") -> dict[str, Any]:
        """End the call, or reject an inbound call that has not been answered (``calling.end``).

        :param reason: ``hangup`` (the default), ``busy``, ``decline``, ``cancel``, ``noAnswer``, ``error``, ``abandoned``,
            ``maxDuration`` or ``notFound``. Use ``busy`` or ``decline`` to reject a call.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        return self._core.command("calling.end", {"reason": values.choice("reason", reason, _REASONS) or "hangup"})

    def pass_(self) -> dict[str, Any]:
        """Return an inbound call to the platform, which offers it to another client (``calling.pass``).

        This client no longer controls the call. Its waits and actions end as if the call had ended.

        :return: the server's reply; ``{}`` if the call has already ended.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        return self._core.command("calling.pass")
