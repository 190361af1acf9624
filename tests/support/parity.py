"""The parity table: every name and parameter of the official SDK, ours, and the test that shows it.

``python -m tests.support.parity`` writes ``docs/parity.md`` from three sources: ``tests/data/sdk_names.json`` (the names of the
official SDK), the code of this package, and the table of verbs that the tests run. ``tests/docs/test_parity.py`` fails if a row
is empty, names a test that is not there, or the file is stale.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from typing import Any, Final

from attrs import frozen

import relay_sync
from relay_sync import Call, constants
from tests.support import DATA, ROOT
from tests.support.generators import rewrite
from tests.support.verbs.row import Row
from tests.support.verbs.rows import ROWS

__all__ = ["FILE", "Line", "lines", "page"]

FILE: Final = ROOT / "docs" / "parity.md"
NAMES: Final[dict[str, Any]] = json.loads((DATA / "sdk_names.json").read_text(encoding="utf-8"))

_CALL, _CLIENT, _DIAL = "tests/call/test_call.py::", "tests/client/test_client.py::", "tests/client/test_dial.py::"
_MESSAGES, _EVENTS = "tests/client/test_messaging.py::", "tests/events/test_members.py::"
_CONTROL, _PARITY = "tests/call/actions/test_control.py::", "tests/docs/test_parity.py::"
_TABLE = "tests/call/verbs/test_verbs.py::"

#: What shows members that are no verbs of a call; ``Class.member(parameter)`` where one parameter has a test of its own.
SHOWN: Final = {
    "Action": f"{_CONTROL}test_the_class_tree",
    "Action.wait": f"{_CONTROL}test_a_wait_that_timed_out_can_be_repeated[play]",
    "Action.is_done": f"{_TABLE}test_normal_end[play]",
    "Action.call": f"{_PARITY}test_an_action_knows_its_call",
    "Action.control_id": f"{_TABLE}test_frame[play-all]",
    "Action.result": f"{_TABLE}test_normal_end[play]",
    "Action.completed": f"{_PARITY}test_an_action_knows_its_call",
    "StoppableAction.stop": f"{_CONTROL}test_control_frame[calling.play.stop-10]",
    "PausableAction.pause": f"{_CONTROL}test_control_frame[calling.play.pause-0]",
    "PausableAction.pause(behavior)": f"{_CONTROL}test_control_frame[calling.record.pause-4]",
    "PausableAction.resume": f"{_CONTROL}test_control_frame[calling.play.resume-1]",
    "VolumeAction.volume": f"{_CONTROL}test_control_frame[calling.play.volume-2]",
    "CollectAction.start_input_timers": f"{_CONTROL}test_control_frame[calling.collect.start_input_timers-8]",
    "StandaloneCollectAction.start_input_timers": f"{_CONTROL}test_control_frame[calling.collect.start_input_timers-9]",
    "Call": f"{_CALL}test_an_inbound_call_knows_who_it_is",
    "Call.__init__": f"{_PARITY}test_a_call_made_by_hand",
    "Call.__repr__": f"{_CALL}test_a_call_shows_itself",
    "Call.on": f"{_CALL}test_on_hears_every_event_of_a_type_in_order",
    "Call.wait_for": f"{_CALL}test_wait_for_without_predicate_wants_the_next_event",
    "Call.wait_for(predicate)": f"{_CALL}test_predicates_run_on_the_waiting_thread",
    "Call.wait_for(timeout)": f"{_CALL}test_expect_raises_on_leaving_when_nothing_came",
    "Call.wait_for_ringing": f"{_CALL}test_every_state_can_be_waited_for_before_and_after",
    "Call.wait_for_answered": f"{_CALL}test_every_state_can_be_waited_for_before_and_after",
    "Call.wait_for_ending": f"{_CALL}test_every_state_can_be_waited_for_before_and_after",
    "Call.wait_for_ended": f"{_CALL}test_every_state_can_be_waited_for_before_and_after",
    "Call.wait_for_ended(timeout)": f"{_CALL}test_a_wait_that_timed_out_can_be_repeated",
    "Call.tag": f"{_DIAL}test_the_usual_story",
    "Call.segment_id": f"{_DIAL}test_the_usual_story",
    "Call.call_id": f"{_CALL}test_an_inbound_call_knows_who_it_is",
    "Call.node_id": f"{_CALL}test_an_inbound_call_knows_who_it_is",
    "Call.project_id": f"{_CALL}test_an_inbound_call_knows_who_it_is",
    "Call.context": f"{_CALL}test_an_inbound_call_knows_who_it_is",
    "Call.direction": f"{_CALL}test_an_inbound_call_knows_who_it_is",
    "Call.device": f"{_CALL}test_an_inbound_call_knows_who_it_is",
    "Call.state": f"{_CALL}test_an_inbound_call_knows_who_it_is",
    "Message": f"{_MESSAGES}test_frame",
    "Message.__init__": f"{_PARITY}test_a_message_made_by_hand",
    "Message.__repr__": f"{_MESSAGES}test_a_message_made_by_hand",
    "Message.is_done": f"{_MESSAGES}test_a_message_is_followed_to_its_end[delivered-]",
    "Message.result": f"{_MESSAGES}test_a_message_is_followed_to_its_end[delivered-]",
    "Message.on": f"{_MESSAGES}test_a_message_is_followed_to_its_end[delivered-]",
    "Message.wait": f"{_MESSAGES}test_a_message_is_followed_to_its_end[delivered-]",
    "Message.state": f"{_MESSAGES}test_a_message_is_followed_to_its_end[delivered-]",
    "Message.reason": f"{_MESSAGES}test_a_message_is_followed_to_its_end[failed-x]",
    "Message.segments": f"{_MESSAGES}test_inbound_messages",
    "Message.tags": f"{_MESSAGES}test_inbound_messages",
    "Message.media": f"{_MESSAGES}test_inbound_messages",
    "Message.body": f"{_MESSAGES}test_inbound_messages",
    "Message.context": f"{_MESSAGES}test_inbound_messages",
    "Message.direction": f"{_MESSAGES}test_inbound_messages",
    "Message.from_number": f"{_MESSAGES}test_inbound_messages",
    "Message.to_number": f"{_MESSAGES}test_inbound_messages",
    "Message.message_id": f"{_MESSAGES}test_inbound_messages",
    "RelayClient": f"{_CLIENT}test_connect_and_disconnect",
    "RelayClient.__init__": f"{_CLIENT}test_the_connect_frame",
    "RelayClient.__init__(jwt_token)": f"{_CLIENT}test_a_jwt_goes_alone",
    "RelayClient.__init__(max_active_calls)": f"{_CLIENT}test_calls_over_max_active_calls_are_passed_back",
    "RelayClient.__aenter__": f"{_PARITY}test_a_client_in_a_with_block",
    "RelayClient.__aexit__": f"{_PARITY}test_a_client_in_a_with_block",
    "RelayClient.project": f"{_PARITY}test_a_client_in_a_with_block",
    "RelayClient.token": f"{_PARITY}test_a_client_in_a_with_block",
    "RelayClient.jwt_token": f"{_PARITY}test_a_client_in_a_with_block",
    "RelayClient.host": f"{_PARITY}test_a_client_in_a_with_block",
    "RelayClient.contexts": f"{_MESSAGES}test_contexts_at_run_time_survive_a_reconnection",
    "RelayClient.relay_protocol": f"{_MESSAGES}test_frame",
    "RelayClient.on_call": f"{_CLIENT}test_a_second_handler_replaces_the_first",
    "RelayClient.on_message": f"{_MESSAGES}test_inbound_messages",
    "RelayClient.connect": f"{_CLIENT}test_the_connect_frame",
    "RelayClient.disconnect": f"{_CLIENT}test_connect_and_disconnect",
    "RelayClient.execute": f"{_CLIENT}test_execute_sends_anything_and_returns_the_result",
    "RelayClient.dial": f"{_DIAL}test_frame[all]",
    "RelayClient.dial(dial_timeout)": f"{_DIAL}test_when_time_is_up_what_rings_is_hung_up_and_so_is_who_comes_late",
    "RelayClient.send_message": f"{_MESSAGES}test_frame_with_everything",
    "RelayClient.send_message(on_completed)": f"{_MESSAGES}test_a_message_is_followed_to_its_end[delivered-]",
    "RelayClient.receive": f"{_MESSAGES}test_contexts_at_run_time_survive_a_reconnection",
    "RelayClient.unreceive": f"{_MESSAGES}test_contexts_at_run_time_survive_a_reconnection",
    "RelayClient.run": f"{_CLIENT}test_run_twice",
    "RelayError": f"{_PARITY}test_an_error_made_by_hand",
    "RelayError.__init__": f"{_PARITY}test_an_error_made_by_hand",
    "RelayError.code": f"{_PARITY}test_an_error_made_by_hand",
    "RelayError.message": f"{_PARITY}test_an_error_made_by_hand",
    "parse_event": f"{_EVENTS}test_unknown_types",
}

#: Names that differ: the official one and ours.
OURS: Final = {"__aenter__": "__enter__", "__aexit__": "__exit__"}

#: Notes, by row.
NOTES: Final = {
    "END_REASON_MAX_DURATION": "`maxDuration`, as on the wire; the official constant never matches",
    "END_REASON_NOT_FOUND": "`notFound`, as on the wire; the official constant never matches",
    "Call.send_digits": "returns an action, which can also be read like the reply (a mapping)",
    "Call.queue_enter": "returns an action, which can also be read like the reply (a mapping)",
    "Call.user_event(event)": "an object, as in the vendor's RELAY description, or a string",
    "VolumeAction": "not a PausableAction: RELAY cannot pause play_and_collect",
    "CollectAction": "has no pause() and resume(): RELAY has no such commands",
    "FaxAction": "SendFaxAction or ReceiveFaxAction",
    "DetectAction": "wait() waits for the end, wait_for_result() for the first result",
    "PayEvent.state": "never sent by the server: `result` has the outcome",
    "CallingErrorEvent.code": "never sent by the server: `error` has the details",
    "CallingErrorEvent.message": "never sent by the server: `error` has the details",
    "Message.__init__": "",
    "RelayClient.__aexit__(*exc)": "the three arguments of any context manager",
}

#: Members of events that no wire carries, and constructors, which no row of the table of verbs can show.
_OFF_THE_WIRE: Final = {"PayEvent.state", "CallingErrorEvent.code", "CallingErrorEvent.message"}


@frozen
class Line:
    """One row: what the official SDK has, what we have, and the test; ``""`` for what is missing."""

    official: str
    ours: str
    test: str
    note: str = ""


def _parameters(function: Any) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


def _kwarg(ours: list[str]) -> str:
    return "extra" if "extra" in ours else ""


def _row_with(verb: str, parameter: str) -> Row | None:
    """A row of the table of verbs that uses a parameter."""
    names = _parameters(getattr(Call, verb))
    for row in ROWS:
        if row.verb == verb and (parameter in row.kwargs or parameter in names[: len(row.args)]):
            return row
    return None


def _verb(verb: str, official: list[str]) -> Iterator[Line]:
    function = getattr(Call, verb, None)
    first = next((row for row in ROWS if row.verb == verb), None)
    shown = f"{_TABLE}test_frame[{first.name}]" if first else ""
    name = f"Call.{verb}"
    yield Line(name, name if function else "", shown, NOTES.get(name, ""))
    ours = _parameters(function) if function else []
    for parameter in official:
        mine = _kwarg(ours) if parameter == "**" else parameter if parameter in ours else ""
        row = _row_with(verb, mine) if mine else None
        if parameter == "on_completed" and row is not None:
            shown = f"{_TABLE}test_normal_end[{row.name}]"
        else:
            shown = f"{_TABLE}test_frame[{row.name}]" if row else ""
        full = f"{name}({parameter})"
        yield Line(full, mine, shown, NOTES.get(full, ""))


def _member(cls: str, member: str, official: list[str]) -> Iterator[Line]:
    name = f"{cls}.{member}"
    mine = OURS.get(member, member)
    found = getattr(getattr(relay_sync, cls), mine, None)
    yield Line(name, f"{cls}.{mine}" if found else "", SHOWN.get(name, ""), NOTES.get(name, ""))
    ours = _parameters(found) if callable(found) else []
    for parameter in official:
        full = f"{name}({parameter})"
        there = ", ".join(ours) if parameter.startswith("*") else next((each for each in ours if each == parameter), "")
        yield Line(full, there, SHOWN.get(full) or SHOWN.get(name, ""), NOTES.get(full, ""))


def _class(cls: str, about: dict[str, Any]) -> Iterator[Line]:
    ours = getattr(relay_sync, cls, None)
    base = getattr(relay_sync, about["base"], None) if about["base"] else object
    good = ours is not None and (cls in NOTES or base is Exception or base is None or issubclass(ours, base))
    kinds = {cls, f"Send{cls}"}
    ended = next((f"{_TABLE}test_normal_end[{row.name}]" for row in ROWS if row.kind in kinds), "")
    tree = f"{_CONTROL}test_the_class_tree" if cls in ("StoppableAction", "PausableAction", "VolumeAction") else ""
    shown = SHOWN.get(cls) or ended or tree
    yield Line(cls, cls if good else "", shown, NOTES.get(cls, ""))
    for member, inner in about["members"].items():
        if cls == "Call" and (inner["rpc"]):
            yield from _verb(member, inner["parameters"])
        else:
            yield from _member(cls, member, inner["parameters"])


def _events() -> Iterator[Line]:
    for cls, about in NAMES["events"].items():
        ours = getattr(relay_sync, cls, None)
        every = f"{_EVENTS}test_every_documented_member_has_an_attribute_of_its_type[{about['type']}]"
        yield Line(cls, cls if ours is not None and about["type"] == ours.TYPE else "", every)
        for member in about["members"]:
            full = f"{cls}.{member}"
            there = member if hasattr(ours, member) else ""
            shown = f"{_PARITY}test_members_that_no_wire_carries" if full in _OFF_THE_WIRE else every
            yield Line(full, there, shown, NOTES.get(full, ""))


def _same_word(name: str, official: Any) -> bool:
    """Whether a name of the module ``constants`` means the same in both. One with a note means what the note says."""
    mine = getattr(constants, name, None)
    return mine is not None and (name in NOTES or mine == (tuple(official) if isinstance(official, list) else official))


def lines() -> dict[str, list[Line]]:
    """All rows, by chapter."""
    chapters: dict[str, list[Line]] = {}
    for cls, about in NAMES["classes"].items():
        rows = list(_class(cls, about))
        for attribute in NAMES["attributes"].get(cls, ()):
            full = f"{cls}.{attribute}"
            there = hasattr(getattr(relay_sync, cls), attribute) or full in SHOWN
            if full not in {row.official for row in rows}:
                rows.append(Line(full, full if there else "", SHOWN.get(full, "")))
        chapters["Actions" if cls.endswith("Action") else cls] = (
            chapters.get("Actions" if cls.endswith("Action") else cls, []) + rows
        )
    chapters["Events"] = list(_events())
    chapters["Events"] += [
        Line(f"RelayEvent.{name}", name if hasattr(relay_sync.RelayEvent, name) else "", f"{_EVENTS}test_unknown_types")
        for name in NAMES["attributes"]["RelayEvent"]
    ]
    payload = NAMES["functions"]["parse_event"][0]
    there = payload in _parameters(relay_sync.parse_event)
    chapters["Events"].append(Line(f"parse_event({payload})", "parse_event" if there else "", SHOWN["parse_event"]))
    chapters["Constants"] = [
        Line(name, name if getattr(relay_sync, name, None) == value else "", f"{_PARITY}test_constants")
        for name, value in NAMES["constants"].items()
    ]
    chapters["Constants"] += [
        Line(
            f"constants.{name}",
            f"constants.{name}" if _same_word(name, value) else "",
            f"{_PARITY}test_words",
            NOTES.get(name, ""),
        )
        for name, value in NAMES["words"].items()
    ]
    known = {row.official for rows in chapters.values() for row in rows} | {"parse_event"}
    chapters["Exports"] = [
        Line(name, name if name in relay_sync.__all__ else "", f"{_PARITY}test_exports")
        for name in NAMES["exports"]
        if name not in known
    ]
    return chapters


def page() -> str:
    """The text of the file."""
    chapters = lines()
    count = sum(len(rows) for rows in chapters.values())
    out = [
        "# Parity with the official SDK",
        "",
        "This table maps each name and parameter of the official SDK to its name here, and to the test that covers it.",
        "",
        "The page is generated by `python -m tests.support.parity`. A test fails if it is out of date or a row"
        " is empty. Do not edit it.",
        "",
        f"It has {count} names and parameters of `signalwire.relay` (`signalwire-sdk`). Coroutines of the official SDK block",
        "here, and `**` (arbitrary keywords) is `extra=`. Event classes are imported from `relay_sync.events` instead of",
        "`signalwire.relay.event`. Constructors of actions are omitted, because verbs create actions.",
    ]
    for chapter in sorted(chapters):
        if not chapters[chapter]:
            continue
        out += ["", f"## {chapter}", "", "| official | here | shown by | note |", "|---|---|---|---|"]
        out += [f"| `{row.official}` | `{row.ours}` | `{row.test}` | {row.note} |" for row in chapters[chapter]]
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    rewrite(FILE, page)
