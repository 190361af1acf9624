"""Whatever a program hands to the client's side is taken, or refused as InvalidParameter; nothing else comes of wild values.

What exactly each parameter takes is in the tests of the verbs, devices, configuration and timeouts.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from relay_sync import InvalidParameter, RelayClient, RelayError, devices
from relay_sync.audio import AudioServer
from relay_sync.rest import RestClient
from relay_sync.simulator import Simulator
from relay_sync.webhooks import Webhooks
from tests.support.lines import FROM, TO, line

WILD: list[Any] = [
    *(None, True, "", "\0", "half\ud800", b"x"),
    *(-1, 0, 1.5, math.inf, math.nan, 10**400),
    *([], {}, [1], ["x"], {1: 2}, {"a": object()}, object(), [[]], [{}]),
]
USUAL: dict[str, Any] = {
    "to": TO,
    "from_": FROM,
    "url": "https://x.test/",
    "project": "p",
    "token": "t",
    "host": "127.0.0.1:9",
    "method": "calling.end",
    "command": "calling.end",
}
#: What begins or ends a client, or waits for it: with times alone, see tests/package/test_timeouts.py.
LIFE = ("at_exit", "after_fork", "connect", "disconnect", "run", "start", "stop", "wait_until_ready")


def walk(function: Callable[..., Any], **usual: Any) -> None:
    """Hand over each wild value for each parameter in turn."""
    given = {**USUAL, **usual}
    parameters = inspect.signature(function).parameters.values()
    named = [each for each in parameters if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)]
    base = {
        each.name: given.get(each.name, "x") if each.default is each.empty or each.name in usual else each.default
        for each in named
    }
    for name in base:
        for value in WILD:
            try:
                function(**base | {name: value})
            except RelayError:
                continue
            except Exception as other:
                raise AssertionError(f"{function.__qualname__}({name}={value!r}): {other!r}") from other


@pytest.fixture
def rest() -> Iterator[RestClient]:
    with RestClient("p", "t", "127.0.0.1:9", retries=0) as made:
        yield made


@pytest.mark.parametrize("kind", [name for name in devices.__all__ if inspect.isfunction(getattr(devices, name))])
def test_devices(kind: str) -> None:
    walk(getattr(devices, kind), **({"url": "wss://x.test/"} if kind == "stream" else {}))


@pytest.mark.parametrize("kind", [RelayClient, RestClient, AudioServer, Webhooks])
@pytest.mark.filterwarnings("ignore:.*without TLS")
def test_what_clients_and_servers_are_made_with(kind: Callable[..., Any]) -> None:
    walk(kind, **({name: USUAL[name] for name in ("project", "token", "host")} if "Client" in str(kind) else {}))


def test_the_client() -> None:
    client = RelayClient(project="p", token="t", host="127.0.0.1:9", connect_timeout=0.001)
    for name, method in inspect.getmembers(client, inspect.ismethod):
        if name[0] != "_" and name not in LIFE:
            walk(method)
    long = 2**53 - 1
    for given in ({"to": TO, "from_": FROM, "ring_timeout": long}, {"devices": [[devices.phone(TO, timeout=long)]]}):
        with pytest.raises(RelayError) as failed:  # nobody listens there
            client.dial(**given)
        assert not isinstance(failed.value, InvalidParameter)
    client.disconnect()


def test_numbers_that_readers_of_json_cannot_hold() -> None:
    with Simulator() as sim, line(sim) as one:
        dial: dict[str, Any] = {"to": TO, "from_": FROM}
        raw = [[{"type": "phone", "params": {"to_number": TO, "from_number": FROM, "timeout": 10**400}}]]
        refused: list[tuple[str, Callable[[], object]]] = [
            ("max_duration", lambda: one.client.dial(**dial, max_duration=10**400)),
            ("max_duration", lambda: one.client.dial(**dial, max_duration=2**53)),
            ("timeout", lambda: one.client.dial(**dial, ring_timeout=10**400)),
            ("devices", lambda: one.client.dial(devices=raw)),
            ("timeout", lambda: devices.phone(TO, timeout=10**30)),
            ("timeout", lambda: devices.sip("sip:desk@example.com", timeout=10**5000)),
            ("extra", lambda: one.client.dial(**dial, extra={"a": [{"b": -(10**309)}]})),
            ("max", lambda: one.call.collect(digits={"max": 10**30})),
            ("payload", lambda: one.client.execute("signalwire.ping", {"payload": 10**400})),
            ("a", lambda: one.client.execute("signalwire.ping", {"text": "1" * 400, "a": {"b": 10**309}})),
        ]
        for name, do in refused:
            with pytest.raises(InvalidParameter) as wrong:
                do()
            assert name in wrong.value.parameter
        assert not any(map(sim.journal.requests, ("calling.dial", "calling.collect", "signalwire.ping")))
        one.client.execute("signalwire.ping", {"payload": "1" * 400 + "." + str(10**308)})
        one.client.execute("signalwire.ping", {"payload": "x", "more": 10**308})


def test_rest(rest: RestClient, tmp_path: Path) -> None:
    walk(rest.dial, url="https://x.test/")
    walk(rest.command)
    walk(rest.call)
    walk(rest.download, url="https://127.0.0.1:9/x", path=str(tmp_path / "x"))
    call = rest.call("c")
    for name, method in inspect.getmembers(call, inspect.ismethod):
        if name[0] != "_":
            walk(method)
    assert list(tmp_path.iterdir()) == []


def test_audio() -> None:
    with AudioServer(public_url="wss://x.test/audio") as audio:
        walk(audio.device)
        walk(audio.listen)
        walk(audio.connect)


@pytest.mark.parametrize("name", ["on_progress", "resume", "progress"])
def test_what_a_download_is_told_is_looked_at_before_it_begins(rest: RestClient, tmp_path: Path, name: str) -> None:
    wrong: list[Any] = ["x", 5, [], b""] if name != "on_progress" else ["x", 5, [], lambda there: None]
    for value in wrong:
        with pytest.raises(InvalidParameter) as caught:
            rest.download("https://127.0.0.1:9/x", tmp_path / "x", **{name: value})
        assert caught.value.parameter == name


def test_what_is_no_call(rest: RestClient) -> None:
    with AudioServer(public_url="wss://x.test/audio") as audio:
        for ask in (audio.listen, audio.connect):
            for value in WILD:
                with pytest.raises(InvalidParameter, match=r"expected a call with a method (stream|connect)") as caught:
                    ask(value)
                assert caught.value.parameter == "call"
    for wild in (b"x", math.inf, object(), 5):
        with pytest.raises(InvalidParameter, match="call_id"):
            rest.command("calling.end", call_id=wild)  # type: ignore[arg-type]
