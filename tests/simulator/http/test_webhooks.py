"""Status webhooks: what is sent, by which method, in which order, and what is not."""

from __future__ import annotations

import logging
import socket
import threading
from urllib.parse import urlsplit

import pytest

from relay_sync.errors import WaitTimeout
from relay_sync.simulator import Simulator
from relay_sync.simulator.core.urls import place
from relay_sync.simulator.http.webhooks import WebhookSender
from tests.support.peers import Hooks, Receiver, address, connected


@pytest.mark.parametrize("method", ["POST", "GET", None])
def test_both_states_are_sent_in_the_documented_body(method: str | None) -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer, Receiver() as receiver, Hooks() as hooks:
        phone = peer.answered()
        more = {} if method is None else {"status_url_method": method}
        result = peer.result(
            "calling.stream", control_id="s", url=receiver.url, status_url=hooks.url, name="n", **more, **address(phone)
        )
        assert result["code"] == "200"
        streaming = hooks.next()
        peer.result("calling.stream.stop", control_id="s", **address(phone))
        finished = hooks.next()
        told = sim.journal.events("calling.call.stream")
        deliveries = sim.webhooks.wait_for(2)
        assert [delivery.status for delivery in deliveries] == [204, 204]
    assert [each[:2] for each in (streaming, finished)] == [(method or "POST", "/status")] * 2
    for (_, _, body), params in zip((streaming, finished), told, strict=True):
        channel = f"swml:{sim.settings.space}"
        about = {"event_type": "calling.call.stream", "event_channel": channel}
        about |= {"project_id": sim.settings.project, "space_id": sim.settings.space}
        timestamp = body.pop("timestamp")
        if method == "GET":
            assert body == {**about, **params}
            assert float(timestamp) > 1e9
        else:
            assert body == {**about, "params": params}
            assert isinstance(timestamp, float)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(("method", "form"), [("POST", False), ("POST", True), ("GET", False)])
def test_a_redirect_is_an_answer_and_is_not_followed(status: int, method: str, form: bool) -> None:
    webhooks = WebhookSender()
    with Hooks() as elsewhere, Hooks(status, elsewhere.url) as hooks:
        webhooks.send("lane", hooks.url, method, {"event_type": "e"}, form=form)
        assert [delivery.status for delivery in webhooks.wait_for(1)] == [status]
        webhooks.close(5.0)
        assert hooks.next()[0] == method
        assert elsewhere.requests.empty()


def test_a_slow_webhook_delays_only_those_of_its_stream() -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer, Receiver() as receiver:
        with Hooks() as slow, Hooks() as quick:
            slow.gate.clear()
            phone = peer.answered()
            for name, hooks in (("a", slow), ("b", quick)):
                peer.result("calling.stream", control_id=name, url=receiver.url, status_url=hooks.url, **address(phone))
                peer.event("calling.call.stream", "streaming")
            phone.hang_up()
            assert [quick.next()[2]["params"]["state"] for _ in range(2)] == ["streaming", "finished"]
            assert slow.next()[2]["params"]["state"] == "streaming"
            assert slow.requests.empty()
            slow.gate.set()
            assert slow.next()[2]["params"]["state"] == "finished"
            assert len(sim.webhooks.wait_for(4)) == 4


def test_remote_places_and_dead_ones_are_not_reached_and_nothing_breaks(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with socket.create_server(("127.0.0.1", 0)) as spare:
        dead = f"http://127.0.0.1:{spare.getsockname()[1]}/status?key=s3cr3t"
    with Simulator(media="fast") as sim, connected(sim) as peer, Receiver() as receiver, Hooks(500) as failing:
        phone = peer.answered()
        places = {"a": "http://hooks.example.test/x?key=s3cr3t", "b": dead, "c": failing.url}
        for name, url in places.items():
            peer.result("calling.stream", control_id=name, url=receiver.url, status_url=url, **address(phone))
            peer.event("calling.call.stream", "streaming")
        outcome = {each.url: (each.status, each.error) for each in sim.webhooks.wait_for(3)}
        assert outcome[places["a"]] == (None, "not on loopback")
        assert outcome[dead] == (None, "ConnectionError")
        assert outcome[failing.url] == (500, "")
        phone.hang_up()
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("relay_sync")]
    assert any("hooks.example.test" in line for line in ours)
    assert len(sim.webhooks.deliveries) > 3
    for where in ("hooks.example.test", urlsplit(dead).netloc):
        assert len([line for line in ours if where in line and "status webhook" in line]) == 1
    assert "s3cr3t" not in str(ours) + repr(sim.webhooks.deliveries)


def test_closing_is_bounded_and_ends_the_threads(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    webhooks = WebhookSender()
    with Hooks() as hooks:
        hooks.gate.clear()
        webhooks.send("lane", hooks.url, "POST", {"params": {}})
        hooks.next()
        webhooks.close(0.02)
        webhooks.send("lane", hooks.url, "POST", {"params": {}})  # after the end: nothing
        hooks.gate.set()
        webhooks.wait_for(1)
        webhooks.close(5)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("relay-sim-webhook")]
    with pytest.raises(WaitTimeout):
        webhooks.wait_for(2, timeout=0.01)


def test_many_lanes_share_few_threads() -> None:
    webhooks = WebhookSender(most_threads=3)
    with Hooks() as hooks:
        for number in range(40):
            webhooks.send(f"lane {number % 10}", hooks.url, "GET", {"n": number, "params": {}})
        webhooks.wait_for(40)
        assert webhooks._started <= 40
        order: dict[int, list[int]] = {}
        for delivery in webhooks.deliveries:
            order.setdefault(delivery.body["n"] % 10, []).append(delivery.body["n"])
        assert all(numbers == sorted(numbers) and len(numbers) == 4 for numbers in order.values())
        webhooks.close(5)


def test_what_is_shown_of_a_url() -> None:
    assert place("https://user:pw@h.test:81/path?q=1#f") == "https://h.test:81"
    assert place("wss://[::1/") == "<invalid URL>"
