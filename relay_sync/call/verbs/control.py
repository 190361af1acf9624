"""Answer, hang up, pass on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from ...params import values
from .base import ADDRESS, Verbs

__all__ = ["ControlVerbs", "EndReason"]

#: End reasons a client may give (PROTOCOL, "Inbound call").
EndReason = Literal["hangup", "cancel", "busy", "noAnswer", "decline", "error", "abandoned", "maxDuration", "notFound"]
_REASONS: Final = ("hangup", "cancel", "busy", "noAnswer", "decline", "error", "abandoned", "maxDuration", "notFound")

AudioCodec = Literal["PCMU", "PCMA", "OPUS", "G729", "G722", "AMR-WB", "VP8", "H264"]
_CODECS: Final = ("PCMU", "PCMA", "OPUS", "G729", "G722", "AMR-WB", "VP8", "H264")


class ControlVerbs(Verbs):
    """Verbs on the call as a whole. A call that is gone (404, 410) is routine: the verb does nothing and returns."""

    def answer(
        self,
        *,
        codecs: Iterable[AudioCodec | str] | None = None,
        max_duration: int | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Answer an inbound call (``calling.answer``).

        The state ``answered`` follows as an event; it may come before this returns.

        :param codecs: what may be spoken, in order of preference. :param max_duration: passes as it is: the vendor's draft
            description says seconds, the documents of comparable commands say minutes.
        :param extra: parameters that this SDK does not know yet.
        :raises CommandRefused: any refusal but "not there any more". :raises RequestTimeout: no answer of the server.
        """
        params = {
            "codecs": values.codec_choices("codecs", codecs, _CODECS),
            "max_duration": values.whole("max_duration", max_duration, low=0),
        }
        return self._core.command("calling.answer", values.merge_extra(params, extra, ADDRESS))

    def hangup(self, reason: EndReason | str = "hangup") -> dict[str, Any]:
        """End the call, or reject one that was not answered (``calling.end``).

        :param reason: ``hangup``, or ``busy`` or ``decline`` to reject; any reason of PROTOCOL, "Inbound call".
        """
        return self._core.command("calling.end", {"reason": values.choice("reason", reason, _REASONS) or "hangup"})

    def pass_(self) -> dict[str, Any]:
        """Decline to handle an inbound call, so that it is offered to another client (``calling.pass``).

        For this client it is over then: whatever waits for something of it ends as it does with a call that has ended.
        """
        return self._core.command("calling.pass")
