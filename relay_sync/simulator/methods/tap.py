"""Call tapping: ``calling.tap``, which sends a copy of the call's audio to another device.

The simulator sends no audio, only a ``tapping`` event when the tap starts and a ``finished`` event when it is stopped or the call
ends. The reply's ``source_device`` describes the audio source, which is a port on this machine for RTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from attrs import define

from ..core.schemas import Findings
from .operation import NetworkOperation, control, start, stop
from .request import Handler

__all__ = ["HANDLERS", "Tap"]

SOURCE_PORT = 30_000


@define(eq=False, kw_only=True)
class Tap(NetworkOperation):
    """A tap on a call's audio."""

    event_type = "calling.call.tap"
    failure: ClassVar[Mapping[str, Any]] = {"state": "finished"}

    def in_reply(self) -> dict[str, Any]:
        device = self.params["device"]
        if device["type"] != "rtp":
            return {"source_device": device}
        wanted = device["params"]
        source = {"addr": "127.0.0.1", "port": SOURCE_PORT, "codec": "PCMU", "ptime": 20}
        source.update({name: wanted[name] for name in ("codec", "ptime") if name in wanted})
        return {"source_device": {"type": "rtp", "params": source}}

    def in_events(self) -> dict[str, Any]:
        return {"tap": self.params["tap"], "device": self.params["device"]}

    def begin(self) -> None:
        self.send_event(state="tapping")


def _check(findings: Findings, params: Mapping[str, Any]) -> None:
    if findings.look("tap", params["tap"], "tap"):
        findings.look("tap.params", params["tap"]["params"], "tap.params")
    findings.look_at_one_of({"rtp": "tap.rtp", "ws": "tap.ws"}, params["device"], "device")


HANDLERS: Mapping[str, Handler] = {"calling.tap": start(Tap, check=_check), "calling.tap.stop": control(Tap, stop)}
