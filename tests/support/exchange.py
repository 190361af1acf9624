"""The far side of dials."""

from __future__ import annotations

from typing import Any

from attrs import define

from relay_sync import Call, RelayClient
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.background import Background

Json = dict[str, Any]

NODE = "node-1"

PHONE = {"type": "phone", "params": {"to_number": "+15550100022", "from_number": "+15550100011"}}


@define(eq=False)
class Exchange:
    """The far side of one client's dials: says by hand what the platform would."""

    sim: Simulator
    client: RelayClient

    def dial(self, *args: Any, **options: Any) -> Background[Call]:
        """Dial in a thread; returns once the server has the request."""
        before = len(self.sim.journal.requests("calling.dial"))
        dialing = Background(lambda: self.client.dial(*args, **options))
        self.sim.journal.wait_for(lambda _: len(self.sim.journal.requests("calling.dial")) > before, PATIENCE)
        return dialing

    @property
    def request(self) -> Json:
        params: Json = self.sim.journal.requests("calling.dial")[-1]["params"]
        return params

    def leg(self, tag: str, call_id: str, state: str, **more: Any) -> None:
        """A leg moves."""
        body = {
            "node_id": NODE,
            "call_id": call_id,
            "tag": tag,
            "call_state": state,
            "direction": "outbound",
            "device": PHONE,
            "segment_id": "segment-1",
        }
        self.sim.send_event("calling.call.state", {**body, **more})

    def moved(self, tag: str, state: str, **more: Any) -> None:
        """The dial moves."""
        self.sim.send_event("calling.call.dial", {"node_id": NODE, "tag": tag, "dial_state": state, **more})

    def answered(self, tag: str, call_id: str, winner: Any = "true") -> None:
        """The dial is answered, as the platform says it."""
        call: Json = {
            "node_id": NODE,
            "call_id": call_id,
            "tag": tag,
            "call_state": "answered",
            "direction": "outbound",
            "device": PHONE,
            "answer_time": 1767225606001,
        }
        if winner is not None:
            call["dial_winner"] = winner
        self.moved(tag, "answered", call=call)

    def ends(self) -> dict[str, str]:
        """The calls that the client has hung up, and the reasons it gave."""
        return {
            frame["params"]["call_id"]: frame["params"]["reason"] for frame in self.sim.journal.requests("calling.end")
        }

    def wait_for_end(self, call_id: str) -> None:
        self.sim.journal.wait_for(lambda _: call_id in self.ends(), PATIENCE)
