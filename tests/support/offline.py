"""A client that is not connected, and what its IO thread would hear: for what depends on the order of things alone."""

from __future__ import annotations

from typing import Any

from relay_sync import Call, RelayClient

Json = dict[str, Any]
NODE = "node-1"


def state(call_id: str, call_state: str, **more: Any) -> Json:
    params = {"call_id": call_id, "node_id": NODE, "call_state": call_state, **more}
    return {"event_type": "calling.call.state", "params": params}


def offer(call_id: str, **more: Any) -> Json:
    params = {"call_id": call_id, "node_id": NODE, "call_state": "created", "context": "default", **more}
    return {"event_type": "calling.call.receive", "params": params}


def calls(client: RelayClient, *call_ids: str) -> list[Call]:
    """Calls that came in."""
    for call_id in call_ids:
        client._router.on_event(offer(call_id))
    return [client.calls[call_id] for call_id in call_ids]
