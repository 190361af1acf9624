"""Answer a call, hang it up, or return it to the platform."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, get_args

from ...constants import CallEndReason
from ...params import values
from .base import ADDRESS, Verbs

__all__ = ["ControlVerbs"]

#: Reasons for ending a call that a client may give.
_REASONS: Final = get_args(CallEndReason)

AudioCodec = Literal["PCMU", "PCMA", "OPUS", "G729", "G722", "AMR-WB", "VP8", "H264"]
_CODECS: Final = ("PCMU", "PCMA", "OPUS", "G729", "G722", "AMR-WB", "VP8", "H264")


class ControlVerbs(Verbs):
    """Verbs that act on the call as a whole. If the call no longer exists (404, 410), the verb returns ``{}``."""

    def answer(
        self,
        *,
        codecs: Iterable[AudioCodec | str] | None = None,
        max_duration: int | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Answer an inbound call (``calling.answer``).

        The state ``answered`` arrives as an event, possibly before this method returns.

        :param codecs: accepted codecs in order of preference: ``PCMU``, ``PCMA``, ``OPUS``, ``G729``, ``G722``, ``AMR-WB``,
            ``VP8``, ``H264``.
        :param max_duration: maximum length of the call, sent unchanged; the vendor documents the unit inconsistently (seconds
            here, minutes for comparable commands).
        :param extra: additional wire parameters that this SDK does not define.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {
            "codecs": values.codec_choices("codecs", codecs, _CODECS),
            "max_duration": values.whole("max_duration", max_duration, low=0),
        }
        return self._core.command("calling.answer", values.merge_extra(params, extra, ADDRESS))

    def hangup(self, reason: CallEndReason | str = "hangup") -> dict[str, Any]:
        """End the call, or reject an inbound call that has not been answered (``calling.end``).

        :param reason: ``hangup`` (the default); ``busy`` or ``decline`` to reject a call; ``cancel``, ``noAnswer``, ``error``,
            ``abandoned``, ``maxDuration`` or ``notFound``.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        return self._core.command("calling.end", {"reason": values.choice("reason", reason, _REASONS) or "hangup"})

    def pass_(self) -> dict[str, Any]:
        """Return an inbound call to the platform, which offers it to another client (``calling.pass``).

        The call is then over for this client: pending waits and actions end as if the call had ended.

        :return: the server's reply; ``{}`` if the call has already ended.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        return self._core.command("calling.pass")
