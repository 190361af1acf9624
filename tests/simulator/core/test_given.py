"""Whatever a test hands to the simulator is taken or refused by name before anything comes of it."""

from __future__ import annotations

import json
import math
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import frozen

from relay_sync import InvalidParameter
from relay_sync.simulator import ControlInterface, Phone, Simulator
from tests.support import PATIENCE
from tests.support.lines import FROM, TO

HUGE = 10**400
WILD: list[Any] = [
    *(None, True, "", "\0", "half\ud800", b"x"),
    *(-1, 0, 1.5, math.inf, -math.inf, math.nan, HUGE, -HUGE),
    *([], {}, (), [1], ["x"], {"a": 1}, object()),
]

#: Kinds of parameters, by what of the above they take.
FLAG: list[Any] = [True]
TEXT = ["", "\0", "half\ud800"]
NAME = ["\0", "half\ud800"]  # of what is not known yet
WHOLE = [0]
COUNT: list[Any] = []
TIMES: list[Any] = [None]
SECONDS = [0, 1.5]
SOME = [1.5]
ANY_TIME: list[Any] = [None, 0, 1.5]
CUE: list[Any] = [None, 0, 1.5, "\0", "half\ud800"]
LINES: list[Any] = [[], (), ["x"]]
CHOICE: list[Any] = []
SOUND: list[Any] = [None]
SPEECH: list[Any] = [None, [], (), ["x"]]
JSON: list[Any] = [None, True, "", "\0", "half\ud800", -1, 0, 1.5, HUGE, -HUGE, [], {}, (), [1], ["x"], {"a": 1}]
OBJECT: list[Any] = [{}, {"a": 1}]
CODE = [0, -1]

Given = dict[str, tuple[Any, list[Any]]]
EVENT: Given = {
    "event_type": ("calling.call.play", NAME),
    "state": ("playing", [None, "\0", "half\ud800"]),
    "times": (1, TIMES),
}
METHOD: Given = {"method": ("calling.play", NAME), "times": (1, TIMES)}
ANSWER: Given = {**METHOD, "message": ("no", TEXT), "data": (None, JSON)}
PARTY: Given = {
    "presses": ("1", [[], ()]),
    "says": (None, SPEECH),
    "hangs_up_after": (None, CUE),
    "answered_by": ("human", CHOICE),
    "beep": (True, FLAG),
    "silent": (False, FLAG),
}
SIMULATOR: dict[str, Given] = {
    "accept_any_credentials": {"accept": (True, FLAG)},
    "acknowledge_only": {"only": (True, FLAG)},
    "add_project": {"project": ("p", ["\0"]), "token": ("t", ["\0"]), "jwt_token": (None, [None, "\0"])},
    "add_recording": {"wav": (b"RIFF", [b"x"])},
    "break_action": {"method": ("calling.play", CHOICE), "details": ({}, [None, *OBJECT]), "times": (1, TIMES)},
    "call": {
        "to": (TO, CHOICE),
        "from_": (FROM, CHOICE),
        "context": ("default", TEXT),
        "hears": (None, SOUND),
        "hangs_up_after_speaking": (False, FLAG),
        "ring_timeout": (60, SOME),
        "call_id": (None, [None, *NAME]),
        "session": (None, [None]),
        "project": (None, [None, *NAME]),
        "rings": (True, FLAG),
        **PARTY,
    },
    "cut": {"reset": (False, FLAG)},
    "delay_event": {**EVENT, "seconds": (1, SECONDS)},
    "disturb_stream": {
        "kind": ("gap", CHOICE),
        "at": (1, WHOLE),
        "count": (1, COUNT),
        "error": ("connection_refused", CHOICE),
        "times": (1, TIMES),
    },
    "drop_event": EVENT,
    "drop_reply": METHOD,
    "duplicate_event": {**EVENT, "copies": (1, COUNT), "same_id": (True, FLAG)},
    "expect_message": {
        "to": (TO, CHOICE),
        "ends": ("failed", CHOICE),
        "reason": ("", TEXT),
        "before_reply": (False, FLAG),
        "times": (1, TIMES),
    },
    "expect_phone": {
        "number": (TO, CHOICE),
        "answers_after": (1, ANY_TIME),
        **dict.fromkeys(("busy", "no_answer", "declines", "unreachable"), (False, FLAG)),
        "times": (1, TIMES),
        **PARTY,
    },
    "expect_sound": {"url": ("https://x.test/a.wav", NAME), "sound": (1, [None, 1.5])},
    "fail": {**ANSWER, "code": (-1, CODE)},
    "hold": METHOD,
    "message": {
        "to": (TO, CHOICE),
        "from_": (FROM, [*CHOICE]),
        "body": ("x", TEXT),
        "media": ([], LINES),
        "tags": ([], LINES),
        "context": ("default", TEXT),
    },
    "refuse": {**ANSWER, "code": (400, CODE)},
    "refuse_connections": {"refuse": (True, FLAG), "how": ("http", CHOICE)},
    "release": {"method": (None, [None, *NAME])},
    "restart": {"restart": (True, FLAG)},
    "send_event": {"event_type": ("calling.call.play", NAME), "params": ({}, OBJECT), "event_channel": ("x", JSON)},
    "send_frame": {"frame": ({}, JSON), "session": (None, [None])},
    "script": {
        "method": ("calling.play", NAME),
        "events": ([], [[], ()]),
        "reply": (None, [None, *OBJECT]),
        "session": (None, [None]),
        "times": (1, TIMES),
    },
    "script_dial": {
        "winner": (None, [None]),
        "losers": ([], [[], ()]),
        "reason": ("busy", TEXT),
        "delay": (1, SECONDS),
        "dialing": (True, FLAG),
        "tag": (None, [None, *TEXT]),
        "node_id": (None, [None, *NAME]),
        "device": (None, [None]),
        "session": (None, [None]),
        "times": (1, TIMES),
    },
    "send_raw": {"text": ("x", ["", "\0"])},
    "stop_reading": {"stop": (True, FLAG)},
    "task": {"message": ({"a": 1}, OBJECT), "context": ("default", TEXT)},
}
WAITS: dict[str, Given] = {
    "Simulator.wait_for_client": {"count": (9, WHOLE)},
    "Simulator.wait_for_held": {"method": (None, [None, *NAME])},
    "Phone.sent": {"method": ("calling.play", NAME), "track": ("x", WILD)},
    "Phone.wait_for_stream": {"index": (0, WHOLE)},
    "Phone.wait_for_two_way_stream": {"index": (0, WHOLE)},
    "Phone.wait_until": {"state": ("answered", CHOICE)},
    "Phone.wait_until_doing": {"method": ("calling.play", CHOICE)},
    "Phone.wait_until_heard": {"words": ("x", TEXT)},
    "Phone.heard": {"words": ("x", TEXT)},
    "ExpectedPhone.wait_for_call": {"index": (0, WHOLE)},
    "Journal.wait_for": {"predicate": (bool, [])},
    "Journal.wait_until": {"look": (lambda _: False, [])},
    "Journal.events": {"event_type": ("x", TEXT)},
    "Journal.requests": {"method": ("x", TEXT)},
    "Journal.reply_to": {"frame": ({"id": "x"}, OBJECT)},
    "Phone.press": {"digits": ("1", CHOICE)},
    "Phone.say": {"text": ("x", TEXT)},
    "Phone.hang_up": {"reason": ("busy", CHOICE)},
}
INIT: dict[str, list[Any]] = {
    **dict.fromkeys(("replay_events", "finish_streams", "strict", "allow_remote"), FLAG),
    **dict.fromkeys(("media", "refuse_with", "on_bad_resume", "status_dialect", "dial_winner"), CHOICE),
    **{name: [1.5, math.inf] for name in ("record_seconds", "dial_timeout", "ping_timeout")},
    **{name: [None, "\0"] for name in ("project", "token", "jwt_token", "signing_key")},
    **{name: [None] for name in ("ssl_context", "media_ssl_context")},
    **{name: [] for name in ("max_frame", "max_connections", "ptime")},
    "ping_interval": [None, 1.5, math.inf],
    "journal_limit": [0],
    "speed": [1.5],
    "host": [""],
    "port": [0],
    "origins": [[], {}, ()],
    "hosts": [[], {}, (), ["x"]],
}


@frozen
class Scene:
    """A simulator with somebody who calls."""

    sim: Simulator
    phone: Phone

    def state(self) -> tuple[object, ...]:
        """What must not change when something is refused."""
        directory = len(self.sim._platform.directory._phones)
        return len(self.sim.journal), self.sim.faults.unused(), len(self.sim.phones), directory, self.phone.state

    def check(self, act: Any, given: Given, parameter: str) -> None:
        """Hand over each wild value in turn, and the usual ones for all other parameters."""
        for value in WILD:
            taken = any(value is each or (type(value) is type(each) and value == each) for each in given[parameter][1])
            before = self.state()
            try:
                act(**{name: usual for name, (usual, _) in given.items()} | {parameter: value})
            except InvalidParameter as refused:
                named = refused.parameter.partition(",")[0]
                if taken or named not in (parameter, "at", "members") or self.state() != before:
                    raise AssertionError(f"{parameter}={value!r}") from refused
            except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError) as other:
                raise AssertionError(f"{parameter}={value!r}: {other!r}") from other
            except Exception:  # a wait in vain, a call that is not answered: what the parameter had to do with is over
                assert taken, value
            else:
                assert taken, value


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    # With so slow a clock no caller gives up, which would change the state, between two looks at it.
    with Simulator(media="fast", speed=0.001) as sim:
        yield Scene(sim, sim.call(to=TO, from_=FROM))


def cases(table: dict[str, dict[str, Any]]) -> list[tuple[str, str]]:
    return [(name, parameter) for name, given in table.items() for parameter in given]


@pytest.mark.parametrize(("name", "parameter"), cases(SIMULATOR))
def test_the_simulator(scene: Scene, name: str, parameter: str) -> None:
    scene.check(getattr(scene.sim, name), SIMULATOR[name], parameter)


@pytest.mark.parametrize(("name", "parameter"), cases(WAITS))
def test_phones_waits_and_the_journal(scene: Scene, name: str, parameter: str) -> None:
    kind, _, method = name.partition(".")
    there = {
        "Simulator": scene.sim,
        "Phone": scene.phone,
        "Journal": scene.sim.journal,
        "ExpectedPhone": scene.sim.expect_phone("+15550177"),
    }
    act = getattr(there[kind], method)
    time = {"within": 0} if method in ("sent", "heard") else {"timeout": 0} if method.startswith("wait") else {}
    scene.check(lambda **given: act(**given, **time), WAITS[name], parameter)


@pytest.mark.parametrize("parameter", INIT)
def test_what_a_simulator_is_made_with(scene: Scene, parameter: str) -> None:
    scene.check(lambda **given: Simulator(**given), {parameter: (None, INIT[parameter])}, parameter)


def test_its_clock_has_a_speed_that_can_be_reckoned_with() -> None:
    for usable in (0.001, 1, 1_000_000):
        assert Simulator(speed=usable).settings.speed == usable
    for wrong in (0.0009, 1e-300, 1_000_001, 1e300, math.inf, "2", 10**400):
        with pytest.raises(InvalidParameter, match=r"Invalid speed=.+: expected a number from 0\.001 to 1000000"):
            Simulator(speed=wrong)  # type: ignore[arg-type]


def test_codes_of_refusals(scene: Scene) -> None:
    for code in (400, "400", 400.0, -32602, "-1"):
        scene.sim.refuse("calling.play", code)  # type: ignore[arg-type]
    for wrong in (HUGE, -HUGE, "9" * 5000, 1e300, 1.5, "four", "4 0", 200, "299"):
        with pytest.raises(InvalidParameter, match=r"^Invalid code="):
            scene.sim.refuse("calling.play", wrong)  # type: ignore[arg-type]


def test_the_control_interface(scene: Scene) -> None:
    """The same over HTTP: 400 with JSON that names the parameter, and nothing comes of it."""
    paths = {
        "call": "/calls",
        "expect_phone": "/phones",
        "expect_sound": "/sounds",
        "message": "/messages",
        "task": "/tasks",
        "send_event": "/events",
        **{name: f"/faults/{name}" for name in ("refuse", "fail", "hold", "drop_reply", "drop_event", "delay_event")},
        **{name: f"/faults/{name}" for name in ("duplicate_event", "break_action")},
        **{name: f"/connections/{name}" for name in ("cut", "restart", "stop_reading", "refuse_connections")},
    }
    with ControlInterface(scene.sim) as control:
        for name, path in paths.items():
            given = {each: usual for each, (usual, _) in SIMULATOR[name].items() if each != "event_channel"}
            for parameter in given:
                member = parameter.rstrip("_")
                body = {each.rstrip("_"): value for each, value in given.items() if value is not None}
                for wild in ('{"a": {"b": []}}', "[[]]", "1e400", "-7", str(HUGE), '"\\u0000"', "NaN", "false"):
                    text = json.dumps({**body, member: "?"}).replace('"?"', wild)
                    status, told = post(control, path, text)
                    unknown = (404,) if member == "session" else ()
                    assert status in (201, 204, 400, *unknown), (path, text, told)
                    assert status < 400 or told["error"], (path, text, told)


def post(control: ControlInterface, path: str, text: str) -> tuple[int, Any]:
    request = urllib.request.Request(control.url + path, text.encode(), method="POST")
    request.add_header("Authorization", f"Bearer {control.key}")
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, None
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.loads(refused.read())
