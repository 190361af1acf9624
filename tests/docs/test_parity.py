"""Nothing of the official SDK is missing here, and the table that says so is true and up to date."""

from __future__ import annotations

import ast
import inspect
import json
import re
import subprocess
import sys
from functools import cache
from typing import Any, get_type_hints

import pytest

import relay_sync
from relay_sync import Call, CallingErrorEvent, Message, PayEvent, RelayClient, RelayError, constants, parse_event
from relay_sync.simulator import Simulator
from relay_sync.simulator.core.method_table import METHODS
from tests.support import ROOT, parity
from tests.support.far_end import mute
from tests.support.lines import Line as PhoneLine
from tests.support.lines import line
from tests.support.verbs.row import Row
from tests.support.verbs.rows import ROWS

ALL = [row for rows in parity.lines().values() for row in rows]


def test_there_are_rows() -> None:
    assert len(ALL) > 400
    assert {row.official for row in ALL} >= {"Call.play(volume)", "RelayClient.dial(devices)", "PlayEvent.state"}
    assert len({row.official for row in ALL}) == len(ALL)


def test_no_row_is_empty() -> None:
    empty = [row for row in ALL if not row.ours or not row.test]
    assert not empty


@cache
def functions(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_row_names_a_test_that_is_there() -> None:
    rows = {row.name for row in ROWS}
    for entry in ALL:
        found = re.fullmatch(r"(tests/[\w/]+\.py)::(test_\w+)(?:\[(.+)\])?", entry.test)
        assert found, entry
        assert found[2] in functions(found[1]), entry
        if found[1] == "tests/call/verbs/test_verbs.py":
            assert found[3] in rows, entry


@pytest.mark.slow
def test_every_row_names_a_case_that_is_there() -> None:
    files = sorted({entry.test.partition("::")[0] for entry in ALL})
    asked = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files]
    told = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True, timeout=50).stdout
    cases = {case for case in told.splitlines() if "::" in case}
    bare = {case.partition("[")[0] for case in cases}
    assert not [entry for entry in ALL if entry.test not in cases and ("[" in entry.test or entry.test not in bare)]


def test_the_file_is_not_stale() -> None:
    written = parity.FILE.read_text(encoding="utf-8")
    assert written == parity.page(), "run python -m tests.support.parity"


def test_an_empty_row_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(parity.NAMES["constants"], "EVENT_CALL_LEVITATE", "calling.call.levitate")
    monkeypatch.setitem(parity.NAMES["classes"]["Call"]["members"], "levitate", {"parameters": ["height"], "rpc": "x"})
    monkeypatch.setitem(parity.NAMES["classes"]["Call"]["members"]["play"], "parameters", ["media", "smell"])
    empty = {row.official for rows in parity.lines().values() for row in rows if not row.ours or not row.test}
    assert empty == {"EVENT_CALL_LEVITATE", "Call.levitate", "Call.levitate(height)", "Call.play(smell)"}


@pytest.mark.parametrize("name", parity.NAMES["constants"])
def test_constants(name: str) -> None:
    assert getattr(relay_sync, name) == parity.NAMES["constants"][name]


@pytest.mark.parametrize("name", parity.NAMES["words"])
def test_words(name: str) -> None:
    otherwise = {"END_REASON_MAX_DURATION": "maxDuration", "END_REASON_NOT_FOUND": "notFound"}
    official = parity.NAMES["words"][name]
    ours = getattr(constants, name)
    assert ours == otherwise.get(name, tuple(official) if isinstance(official, list) else official)


def test_exports() -> None:
    assert set(parity.NAMES["exports"]) <= set(relay_sync.__all__)


def test_members_that_no_wire_carries() -> None:
    # They are there for programs that read them, and would be read off the wire if they came.
    pay = parse_event({"event_type": "calling.call.pay", "params": {"result": "success"}})
    assert isinstance(pay, PayEvent)
    assert (pay.state, pay.result) == ("", "success")
    error = parse_event({"event_type": "calling.error", "params": {"error": "x", "code": 500, "message": "y"}})
    assert isinstance(error, CallingErrorEvent)
    assert (error.code, error.message) == ("500", "y")


def test_an_error_made_by_hand() -> None:
    error = RelayError(404, "not here")
    assert (error.code, error.message) == (404, "not here")
    assert "not here" in str(error)


def test_a_message_made_by_hand() -> None:
    given: dict[str, Any] = {
        "message_id": "m",
        "context": "c",
        "direction": "inbound",
        "from_number": "+1",
        "to_number": "+2",
        "body": "b",
        "media": ["u"],
        "segments": 2,
        "state": "received",
        "reason": "r",
        "tags": ["t"],
    }
    message = Message(**given)
    assert {name: getattr(message, name) for name in given} == given


def test_a_call_made_by_hand(sim: Simulator) -> None:
    given: dict[str, Any] = {
        "call_id": "c",
        "node_id": "n",
        "project_id": "p",
        "context": "x",
        "tag": "t",
        "direction": "outbound",
        "device": {"type": "phone"},
        "state": "ringing",
        "segment_id": "s",
    }
    with RelayClient(**sim.credentials) as client:
        call = Call(client, **given)
        assert {name: getattr(call, name) for name in given} == given
        assert call.client is client


def test_a_client_in_a_with_block(sim: Simulator) -> None:
    with RelayClient(**sim.credentials) as client:
        assert client.state == "connected"
        assert (client.project, client.token) == (sim.settings.project, sim.settings.token)
        assert (client.jwt_token, client.host) == ("", "127.0.0.1")
        assert sim.settings.token not in repr(client)
    assert client.state == "closed"


def test_an_action_knows_its_call(sim: Simulator) -> None:
    with line(sim) as one:
        mute(sim)
        look(one)


def look(one: PhoneLine) -> None:
    action = one.call.play_silence(5)
    assert action.call is one.call
    assert action.completed is action.is_done is False
    one.phone.hang_up()
    action.wait(5)
    assert action.completed is action.is_done is True


def test_the_data_file_is_compact_facts() -> None:
    text = (ROOT / "tests" / "data" / "sdk_names.json").read_text(encoding="utf-8")
    assert set(json.loads(text)) == {"classes", "events", "functions", "attributes", "constants", "exports", "words"}
    assert isinstance(ROWS[0], Row)


@pytest.mark.parametrize("verb", sorted({row.verb for row in ROWS}))
def test_an_editor_shows_every_parameter_of_a_verb(verb: str) -> None:
    signature = inspect.signature(getattr(Call, verb))
    hints = get_type_hints(getattr(Call, verb))
    for each in list(signature.parameters.values())[1:]:
        assert each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL), each
        assert hints[each.name] is not Any, each
    assert hints["return"] not in (Any, type(None))
    assert inspect.getdoc(getattr(Call, verb))


def test_calls_have_no_verb_that_neither_the_wire_nor_the_official_sdk_has() -> None:
    official = {row.method for row in ROWS if row.verb in parity.NAMES["classes"]["Call"]["members"]}
    for row in ROWS:
        if row.verb not in parity.NAMES["classes"]["Call"]["members"]:
            assert row.method in METHODS  # of the wire
            assert row.method not in official  # and no second name of something that is there
    rest = {name for name in dir(Call) if not name.startswith("_")} - {row.verb for row in ROWS}
    assert rest - set(parity.NAMES["classes"]["Call"]["members"]) == {
        "client",
        "events",
        "expect",
        "from_number",
        "to_number",
        # Attributes of the official SDK's calls, which its list of members leaves out.
        *("call_id", "context", "device", "direction", "node_id", "project_id", "segment_id", "state", "tag"),
        "end_reason",
    }
