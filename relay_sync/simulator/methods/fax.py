"""Fax transmission: ``calling.send_fax`` and ``calling.receive_fax``.

The following behavior is not documented by SignalWire and may differ on the real platform:

* A fax has two pages. Each page takes five seconds.
* The transmission succeeds if the party is a fax machine (``answered_by="fax"``). Otherwise, it fails after ten seconds.
* A transmission fails if it is stopped or the call ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define, field

from .operation import NetworkOperation, control, start, stop
from .recording import FILES_URL
from .request import Handler

__all__ = ["HANDLERS", "ReceiveFax", "SendFax"]

PAGES = 2
PAGE = 5.0
NO_ANSWER = 10.0


@define(eq=False, kw_only=True)
class _Fax(NetworkOperation):
    """A fax transmission."""

    event_type = "calling.call.fax"
    _pages: int = field(default=0, init=False)

    @property
    def _direction(self) -> str:
        raise NotImplementedError

    @property
    def _document(self) -> str:
        raise NotImplementedError

    def begin(self) -> None:
        if self.call.party.behavior.answered_by == "fax":
            self.after("page", PAGE, self._page)
        else:
            self.after("page", NO_ANSWER, self._over, 48, "Disconnected after permitted retries")

    def _page(self) -> None:
        self._pages += 1
        params = {"direction": self._direction, "number": self._pages}
        self.send_event(fax={"type": "page", "params": params})
        if self._pages < PAGES:
            self.after("page", PAGE, self._page)
        else:
            self.after("page", 0.5, self._over, 0, "OK")

    def _over(self, result: int, text: str) -> None:
        call = self.call
        self.close(
            fax={
                "type": "finished",
                "params": {
                    "direction": self._direction,
                    "identity": self.params.get("identity", call.our_number),
                    "remote_identity": call.number,
                    "document": self._document,
                    "success": result == 0,
                    "result": result,
                    "result_text": text,
                    "pages": self._pages,
                    "format": "pdf",
                },
            }
        )

    def break_down(self, details: Mapping[str, Any]) -> None:
        if details:
            self.close(**details)
        else:
            self._over(50, "The call dropped prematurely")

    def finish(self, **members: Any) -> None:
        self._over(49, "The fax was stopped")


@define(eq=False, kw_only=True)
class SendFax(_Fax):
    """A fax sent to the party."""

    @property
    def _direction(self) -> str:
        return "send"

    @property
    def _document(self) -> str:
        return str(self.params["document"])


@define(eq=False, kw_only=True)
class ReceiveFax(_Fax):
    """A fax received from the party."""

    @property
    def _direction(self) -> str:
        return "receive"

    @property
    def _document(self) -> str:
        return f"{FILES_URL}/{self.control_id}.pdf" if self._pages else ""


HANDLERS: Mapping[str, Handler] = {
    "calling.send_fax": start(SendFax),
    "calling.send_fax.stop": control(SendFax, stop),
    "calling.receive_fax": start(ReceiveFax),
    "calling.receive_fax.stop": control(ReceiveFax, stop),
}
