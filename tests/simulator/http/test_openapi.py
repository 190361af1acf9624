"""The OpenAPI description of the control interface is that of its routes, and a stranger's requests agree with it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from relay_sync import InvalidParameter, RelayClient
from relay_sync.rest import RestClient
from relay_sync.simulator import ControlInterface, Simulator
from relay_sync.simulator.http.control import kinds, openapi
from relay_sync.simulator.http.control.requests import body_schema
from relay_sync.simulator.http.control.routes import ROUTES
from tests.support import PATIENCE, ROOT
from tests.support.control import Control, Server, raw, simulate
from tests.support.lines import FROM, TO, Desk, line
from tests.support.peers import Hooks, Receiver
from tests.support.setup_cfg import sections

#: Seconds that one run may take.
LIMIT = 90
#: MiB by which the simulator may have grown afterwards: the interpreter keeps some of the memory that was freed.
MORE_MEMORY = 40


def shipped() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(openapi.FILE.read_text(encoding="utf-8"))
    return found


def test_the_file_describes_the_routes() -> None:
    assert openapi.FILE.read_text(encoding="utf-8") == openapi.written(ROUTES), "run python -m tests.support.openapi"


def test_every_route_is_in_the_file_and_the_other_way_round() -> None:
    described = {(method.upper(), path) for path, methods in shipped()["paths"].items() for method in methods}
    assert described == {(route.method, route.path) for route in ROUTES}


def test_every_route_says_what_it_does_and_returns() -> None:
    for route in ROUTES:
        assert route.summary, route.path
        assert (route.status == 204) == (not route.result), route.path
        members = route.body or {}
        assert all(member.kind.accepted for member in members.values())
    names = [operation["operationId"] for methods in shipped()["paths"].values() for operation in methods.values()]
    assert len(set(names)) == len(names)


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "$ref":
                yield inner
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_references_lead_somewhere() -> None:
    found, used = shipped(), set(references(shipped()))
    for each in used:
        here: Any = found
        for part in each.removeprefix("#/").split("/"):
            here = here[part]
    kinds_of_components = ("schemas", "responses")
    known = {f"#/components/{kind}/{name}" for kind in kinds_of_components for name in found["components"][kind]}
    assert known == used


def test_it_is_served_to_anybody_on_this_machine(sim: Simulator) -> None:
    with ControlInterface(sim) as control:
        with urllib.request.urlopen(f"{control.url}/openapi.json", timeout=PATIENCE) as answer:
            assert answer.headers["Content-Type"] == "application/json"
            text = answer.read().decode()
        assert json.loads(text) == shipped()
        assert control.key not in text
        assert raw(sim.port, "/simulator/openapi.json", {"Host": "evil.example"}) == 403


def test_responses_have_the_described_members(sim: Simulator) -> None:
    schemas = shipped()["components"]["schemas"]
    with (
        ControlInterface(sim) as server,
        Receiver() as receiver,
        Hooks() as hooks,
        line(sim) as it,
        RestClient(**sim.credentials) as rest,
    ):
        control = Control(server.url, server.key)
        rest.call(it.call.call_id).stream(receiver.url, status_url=hooks.url)
        call = control.get(f"/calls/{it.call.call_id}?stream=streaming")
        found = {
            "Call": call,
            "Stream": call["streams"][0],
            "Entry": control.get("/journal")["entries"][0],
            "Delivery": control.get("/webhooks?count=1")[0],
            "Session": control.get("/sessions")[0],
            "RestRequest": control.get("/rest")[0],
        }
    for name, body in found.items():
        assert set(body) == set(schemas[name]["properties"]), name


def test_it_ships() -> None:
    assert "http/control/*.json" in sections()["options.package_data"]["relay_sync.simulator"]


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 3}, [1, 3, 2.0], [0, 4, 1.5, True, "1", None]),
        ({"type": "number", "exclusiveMinimum": 0}, [0.1, 5], [0, -1, False, "1"]),
        ({"type": "string", "minLength": 1}, ["a"], ["", 1, None]),
        ({"type": "string", "pattern": "^[0-9]+$"}, ["1", "42"], ["", "1\n", "a1", "1a"]),
        ({"enum": ["a", "b"]}, ["a"], ["c", 1, None, ["a"], {}]),
        ({"const": "always"}, ["always"], ["never", True]),
        ({"type": "array", "items": {"type": "string"}, "minItems": 1}, [["a"]], [[], [1], "a"]),
        ({"anyOf": [{"type": "boolean"}, {"const": "x"}]}, [True, "x"], [1, "y", None]),
        (
            body_schema({}) | {"properties": {"a": {"type": "boolean"}}, "required": ["a"]},
            [{"a": True}],
            [{}, {"a": 1}, {"a": True, "b": 1}, [], "a"],
        ),
        ({"type": "object"}, [{}, {"a": 1}], [[], None]),
        ({}, [1, None, "x", {}], []),
    ],
)
def test_values_are_checked_by_their_schema(schema: dict[str, Any], good: list[Any], bad: list[Any]) -> None:
    assert [value for value in good if not kinds.fits(schema, value)] == []
    assert [value for value in bad if kinds.fits(schema, value)] == []


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (
            kinds.PARTY,
            ["+15550100", "100*#", "sip:desk@example.com", "SIPS:a@[::1]:5061;x=1"],
            ["call me", "+", "", " 1"],
        ),
        (kinds.CALLER, ["anonymous", "Unknown", "+1", "a@b.example"], ["nobody", "+1 555"]),
        (kinds.PHONE, ["whatsapp:+15550100", "911"], ["sip:a@b", "+1-555"]),
        (kinds.DIALED, ["/public/desk", "+1"], ["/a b", "desk"]),
        (kinds.SENDER, ["Example Inc.", "12345"], ["--", "Caf\u00e9", ""]),
        (kinds.DIGITS, ["1*#ABCD"], ["", "w", "12\n"]),
    ],
)
def test_addresses_and_digits(kind: kinds.Kind, good: list[str], bad: list[str]) -> None:
    for value in good:
        assert kind("to", value) == value
    for value in bad:
        with pytest.raises(InvalidParameter, match="to="):
            kind("to", value)


@pytest.mark.parametrize("kind", [kinds.PARTY, kinds.CALLER, kinds.PHONE, kinds.DIALED, kinds.SENDER, kinds.DIGITS])
@pytest.mark.parametrize("text", ["1", "A", " ", "/", "a@", "!"])
def test_a_long_text_is_checked_in_time_that_grows_with_its_length(kind: kinds.Kind, text: str) -> None:
    began = time.thread_time()
    with suppress(InvalidParameter):
        kind("to", text * 50_000 + "\n")
    assert time.thread_time() - began < 1


# -- a stranger's requests ---------------------------------------------------------------------------------------------


def load(pid: int) -> tuple[int, int, float]:
    """Threads, sockets, and memory in MiB."""
    sockets = 0
    for number in os.listdir(f"/proc/{pid}/fd"):
        try:
            sockets += os.readlink(f"/proc/{pid}/fd/{number}").startswith("socket:")
        except OSError:
            continue
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    memory = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert memory is not None
    return len(os.listdir(f"/proc/{pid}/task")), sockets, int(memory[1]) / 1024


def takes_a_call(server: Server) -> None:
    control = server.control
    client = RelayClient(server.told["project"], server.told["token"], host=server.told["host"], contexts=["mine"])
    desk = Desk(client)
    try:
        client.connect()
        placed = control.post("/calls", **{"to": TO, "from": FROM, "context": "mine"})
        desk.take().answer()
        assert control.get(f"/calls/{placed['id']}?wait=answered")["state"] == "answered"
        assert control.post(f"/calls/{placed['id']}/hang_up")["state"] == "ended"
    finally:
        desk.closing.set()
        client.disconnect()


def emptied(server: Server) -> None:
    """End what the run has left: faults that hold or refuse, calls that wait for a client, a project that was removed."""
    control = server.control
    control.ask("DELETE", "/faults")
    control.post("/connections/refuse_connections", refuse=False)
    control.post("/connections/stop_reading", stop=False)
    control.post("/connections/slow_down", seconds=0)
    control.post("/modes", acknowledge_only=False, accept_any_credentials=False)
    control.ask("DELETE", "/scripts")
    control.post("/projects", project=server.told["project"], token=server.told["token"])
    for call in control.get("/calls"):
        control.post(f"/calls/{quote(call['id'], safe='')}/hang_up")  # the run chose some of the IDs
    control.ask("DELETE", "/journal")


#: Parts of the operations, which run at the same time, so that a run takes less time. Only those of the last part have links,
#: which a stateful run needs.
FAULTS = "^/faults"
OTHERS = "^/(connections|phones|sounds|messages|tasks|events|frames|dials|modes|clients|webhooks|rest)"
PARTS = {
    "faults": ("--include-path-regex", FAULTS, "--phases=examples,coverage,fuzzing"),
    "others": ("--include-path-regex", OTHERS, "--phases=examples,coverage,fuzzing"),
    "calls": ("--exclude-path-regex", f"{FAULTS}|{OTHERS}", "--phases=examples,coverage,fuzzing,stateful"),
}


def started(server: Server, seed: int, part: str, out: Path) -> subprocess.Popen[bytes]:
    """Begin to send requests to a part of the operations."""
    out.mkdir()
    with (out / "out.txt").open("wb") as file:
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "schemathesis.cli", "--no-color"),
                *("--config-file", str(ROOT / "tests" / "data" / "schemathesis.toml")),
                *("run", f"{server.told['control']}/openapi.json", f"--seed={seed}", *PARTS[part]),
                *("--checks=all", "--max-examples=200"),
                *("-H", f"Authorization: Bearer {server.told['control_token']}"),
            ],
            cwd=out,
            env={**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.support.schemathesis_hooks"},
            stdout=file,
            stderr=subprocess.STDOUT,
        )


def ended(process: subprocess.Popen[bytes], deadline: float) -> float:
    """Wait for the end of a process, and return the CPU time that it has used, in seconds."""
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return usage.ru_utime + usage.ru_stime
        if time.monotonic() > deadline:
            process.kill()
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.timeout(8 * LIMIT)
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux shows threads and sockets there")
@pytest.mark.parametrize("seed", [1, 20, 300])
def test_requests_of_a_stranger(tmp_path: Path, seed: int) -> None:
    pytest.importorskip("schemathesis")
    with simulate(tmp_path) as server:
        takes_a_call(server)
        emptied(server)
        before = load(server.process.pid)
        running = [started(server, seed, part, tmp_path / part) for part in PARTS]
        deadline = time.monotonic() + 6 * LIMIT
        # CPU time: how long they take depends on what else the machine does.
        took = [ended(process, deadline) for process in running]
        for process, part in zip(running, PARTS, strict=True):
            assert process.returncode == 0, (tmp_path / part / "out.txt").read_text(encoding="utf-8")[-20_000:]
        assert max(took) < LIMIT
        emptied(server)
        takes_a_call(server)
        end = time.monotonic() + PATIENCE
        while True:
            threads, sockets, memory = load(server.process.pid)
            if (threads <= before[0] and sockets <= before[1]) or time.monotonic() > end:
                break
            time.sleep(0.1)
        assert threads <= before[0]
        assert sockets <= before[1]
        assert memory - before[2] < MORE_MEMORY
        server.process.terminate()
        _, error = server.process.communicate(timeout=PATIENCE * 3)
    assert "Traceback" not in error, error[-5_000:]
