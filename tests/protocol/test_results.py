"""What a reply to a command means: success, or which error, and nothing of the request's secrets in it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay_sync.errors import CommandRefused
from relay_sync.protocol import results
from relay_sync.protocol.frames import Failure
from relay_sync.protocol.results import call_ended, failure_to_error, is_gone, read_code, result_or_error
from relay_sync.text.secrecy import Secrets, keep

steady = settings(derandomize=True, deadline=None)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


def refused(result: Any) -> CommandRefused:
    outcome = result_or_error(result, method="calling.stream", call_id="call-1")
    assert isinstance(outcome, CommandRefused)
    assert outcome.method == "calling.stream"
    return outcome


@pytest.mark.parametrize(
    ("result", "code"),
    [
        ({"code": "200"}, 200),
        ({"code": " 200 "}, 200),
        ({"code": 200}, 200),
        ({"code": "-32001"}, -32001),
        ({"code": "0"}, 0),
        ({"code": True}, None),
        ({"code": False}, None),
        ({"code": ""}, None),
        ({"code": "ok"}, None),
        ({"code": "2e2"}, None),
        ({"code": "1" * 5000}, None),
        ({"code": 200.0}, 200),
        ({"code": "200.0"}, 200),
        ({"code": "+200"}, 200),
        ({"code": -32001.0}, -32001),
        ({"code": "-32001.00"}, -32001),
        ({"code": 200.5}, None),
        ({"code": "200.5"}, None),
        ({"code": 1e300}, None),
        ({"code": "200."}, 200),
        ({"code": ".0"}, None),
        ({"code": "--200"}, None),
        ({"code": None}, None),
        ({"code": [200]}, None),
        ({"code": {"code": 200}}, None),
        ({}, None),
        (None, None),
        ("200", None),
        ([200], None),
    ],
)
def test_codes_come_in_several_shapes(result: object, code: int | None) -> None:
    assert read_code(result) == code


@pytest.mark.parametrize("code", ["200", 200, "201", "299", 204])
def test_any_code_of_two_hundred_is_success(code: Any) -> None:
    result = {"code": code, "message": "fine", "call_id": "c"}
    assert result_or_error(result, method="m") is result


@pytest.mark.parametrize("result", [{}, {"call_id": "c"}, {"code": None, "x": 1}])
def test_no_code_is_success(result: dict[str, Any]) -> None:
    assert result_or_error(result, method="m") == result


@pytest.mark.parametrize("result", [None, "text", 5, [], [1], True])
def test_a_result_that_is_no_object_is_kept_raw(result: Any) -> None:
    assert result_or_error(result, method="m") == ({} if result is None else {"raw": result})


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (400, "check the parameters"),
        (402, "balance and permissions"),
        (404, "the call, or an object that the command names, does not exist"),
        (409, "already in progress"),
        (410, "the call, or an object that the command names, does not exist"),
        (-32001, ""),
        (500, ""),
        (199, ""),
        (300, ""),
    ],
)
@pytest.mark.parametrize("written", [str, int])
def test_other_codes_are_refusals_with_advice(code: int, advice: str, written: type) -> None:
    error = refused({"code": written(code), "message": "Permission Denied."})
    assert (error.code, error.call_id) == (code, "call-1")
    assert str(error).startswith("calling.stream was refused: Permission Denied.")
    assert advice in str(error)
    assert f"(code {code})" in str(error)


def test_a_refusal_without_a_message_says_so() -> None:
    assert "no message" in str(refused({"code": "500"}))
    assert "no message" in str(refused({"code": "500", "message": ["odd"]}))


@pytest.mark.parametrize("code", ["ok", "", True, [1], {"a": 1}, 200.5])
def test_a_code_that_is_none_is_no_success(code: Any) -> None:
    error = refused({"code": code, "message": "?"})
    assert error.code is None
    assert error.call_id == "call-1"


def test_the_details_of_a_refusal_are_told() -> None:
    error = refused({"code": "400", "message": "Bad", "data": [{"field": "devices", "error": "empty"}]})
    assert "devices" in str(error)
    assert "empty" in str(error)


def test_what_a_server_says_is_cut() -> None:
    assert len(str(refused({"code": "400", "message": "m" * 10_000, "data": "d" * 10_000}))) < 1000
    assert len(str(refused({"code": "x" * 10_000}))) < 1000


@pytest.mark.parametrize("name", ["authorization_bearer_token", "token", "password"])
def test_a_server_that_repeats_a_secret_does_not_bring_it_into_an_error(name: str) -> None:
    error = refused({"code": "400", "message": "Bad", "data": {name: "hunter2", "url": "wss://u:hunter2@h/"}})
    assert "hunter2" not in f"{error!s} {error!r}"
    assert name in str(error)


@pytest.mark.parametrize("depth", [10, *range(900, 1000, 5)])
@pytest.mark.parametrize("member", ["code", "data"])
def test_any_depth_can_be_told(depth: int, member: str) -> None:
    nested: list[Any] = []
    for _ in range(depth):
        nested = [nested]
    assert isinstance(refused({"code": "400", "message": "x", member: nested}), CommandRefused)


@steady
@given(
    JSON_VALUES | st.fixed_dictionaries({"code": JSON_VALUES}, optional={"message": JSON_VALUES, "data": JSON_VALUES})
)
def test_any_result_is_a_success_or_a_refusal(result: Any) -> None:
    outcome = result_or_error(result, method="m")
    assert isinstance(outcome, (dict, CommandRefused))
    if isinstance(outcome, CommandRefused):
        assert outcome.code is None or not 200 <= outcome.code < 300
        assert isinstance(str(outcome), str)
    code = read_code(result)
    if code is not None:
        assert isinstance(outcome, dict) is (200 <= code < 300)


def test_a_json_rpc_error_is_a_refusal() -> None:
    error = failure_to_error(Failure("1", -32602, "Invalid CallTapParams"), method="calling.tap", call_id="c")
    assert (error.code, error.method, error.call_id) == (-32602, "calling.tap", "c")
    assert "Invalid CallTapParams" in str(error)
    assert "check the parameters" in str(error)


def test_a_json_rpc_error_may_say_nothing() -> None:
    error = failure_to_error(Failure(None, None, ""), method="m")
    assert error.code is None
    assert "no message" in str(error)


@pytest.mark.parametrize(("code", "gone"), [(404, True), (410, True), (400, False), (None, False), (-32601, False)])
def test_two_codes_say_that_the_call_is_not_there(code: int | None, gone: bool) -> None:
    assert is_gone(CommandRefused(code, "x")) is gone


def test_a_call_that_is_not_answered_is_to_be_answered_first() -> None:
    told = str(refused({"code": "409", "message": "Call is not answered"}))
    assert "call.answer() first" in told
    assert "already in progress" not in told


def test_calls_that_ended_for_a_usual_reason_share_what_ends_with_them() -> None:
    assert call_ended("hangup") is call_ended("hangup")
    assert call_ended("no such reason") is not call_ended("no such reason")


def test_a_word_that_is_a_secret_while_a_call_ends_is_shown_again_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "_ENDED", {})
    secret = keep(Secrets("maxDuration"))
    assert call_ended("maxDuration").end_reason == "***"
    del secret
    assert call_ended("maxDuration").end_reason == "maxDuration"
