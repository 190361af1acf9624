"""The connection of a client: when it is made, and that it ends with its client."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import pytest

from relay_sync import ClientClosed, RelayClient
from relay_sync.deadline import Deadline
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.background import Background

MakeClient = Callable[..., RelayClient]


def test_a_stop_right_before_there_is_a_loop_to_tell_is_obeyed(
    client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = client()
    note = one._link._note_others

    def stopped() -> None:
        one.stop()
        note()

    monkeypatch.setattr(one._link, "_note_others", stopped)
    Background(one.run).result()
    assert one.state == "closed"


def test_a_client_that_nobody_holds_is_gone_at_once_and_its_connection_ends(sim: Simulator) -> None:
    one = RelayClient(**sim.credentials)
    one.connect()
    gone, loop = weakref.ref(one), one._link.loop
    assert loop is not None
    gc.disable()  # no circle keeps it until the next collection
    try:
        del one
        assert gone() is None
    finally:
        gc.enable()
    loop.join(PATIENCE)
    assert (loop.finished, loop.forgotten) == (True, True)


def test_what_nobody_waits_for_makes_no_connection_and_a_closed_link_makes_none_at_all() -> None:
    one = RelayClient(project="p", token="t", host="name.example")
    one._link.promise("calling.end", {"node_id": "", "call_id": "of-nobody"})
    one._link.post("calling.answer", {"node_id": "", "call_id": "of-nobody"})
    assert one._link.loop is None
    one.disconnect()
    with pytest.raises(ClientClosed):
        one._link.usable_loop(Deadline(None))
    assert one._link.loop is None
