"""The live calls of all processes."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models


class LiveCall(models.Model):
    """A call that a process of ``manage.py relay`` owns, and the stream that runs on it.

    ``control_id`` is empty if no stream runs. ``audio_url`` is the address of the receiver for streams.
    """

    call_id = models.CharField(max_length=100, primary_key=True)
    caller = models.CharField(max_length=100)
    since = models.DateTimeField(auto_now_add=True)
    audio_url = models.CharField(max_length=500)
    control_id = models.CharField(max_length=100, blank=True)

    objects: ClassVar[models.Manager[LiveCall]] = models.Manager()

    def claim_stream(self, control_id: str) -> bool:
        """Store the ID of the call's stream. Return false if the call has another one, or has ended."""
        return LiveCall.objects.filter(pk=self.pk, control_id="").update(control_id=control_id) == 1

    @staticmethod
    def release_stream(control_id: str) -> None:
        """Remove the ID of a stream that has ended or was not started."""
        LiveCall.objects.filter(control_id=control_id).update(control_id="")

    def shown(self) -> dict[str, Any]:
        """Return the values that users may see."""
        return {
            "call_id": self.call_id,
            "caller": self.caller,
            "since": self.since.timestamp(),
            "control_id": self.control_id or None,
        }
