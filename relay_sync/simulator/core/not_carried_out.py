"""Detection of features that the simulator accepts but does not implement.

A program that relies on such a feature would wait forever for its effect, so each use is recorded in ``Journal.notices``.
Parameters without an observable effect are not listed. In the table, ``dial`` and ``update`` are REST commands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

__all__ = ["NOT_CARRIED_OUT", "not_carried_out"]

#: Kind of notice in the journal.
NOT_CARRIED_OUT: Final = "not carried out"

_TABLE: Final = """
dial url swml status_url
update url swml
calling.dial dest_swml max_price_per_minute
calling.connect max_price_per_minute
calling.join_conference coach recording_status_callback wait_url
calling.queue.enter execute_after_queue wait_url whisper_url
calling.ai post_prompt_url
calling.ai_sidecar url
calling.amazon_bedrock post_prompt_url
messaging.send status_callback
provisioning.configure target
"""
_NAMES: Final = {line.split()[0]: line.split()[1:] for line in _TABLE.strip().splitlines()}
_OF_DEVICES: Final = ("call_state_url", "confirm", "execute_after_queue")


def not_carried_out(method: str, params: Mapping[str, Any]) -> Iterator[str]:
    """Yield a description of each parameter of a command that the simulator accepts but ignores."""
    for name in _NAMES.get(method, ()):
        if params.get(name) not in (None, ""):
            yield _words(method, name)
    relayed = params.get("status_callback_event_type") == "relay"
    if method == "calling.join_conference" and params.get("status_callback") and not relayed:
        yield _words(method, "status_callback")
    if method == "calling.transfer" and not str(params.get("dest", "")).startswith("context:"):
        yield _words(method, "dest")
    for group in params.get("devices", ()) if method in ("calling.dial", "calling.connect") else ():
        for device in group:
            found = device.get("params")
            for name in _OF_DEVICES:
                if isinstance(found, Mapping) and found.get(name):
                    yield _words(method, f"{name} of a device")


def _words(method: str, name: str) -> str:
    return f"{method}: {name} is accepted, but the simulator ignores it"
