"""JSON-RPC frames: what is read, what is refused, what is written, and what never shows in a log."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from relay_sync.errors import InvalidParameter
from relay_sync.params import values as checks
from relay_sync.protocol import frames
from relay_sync.protocol.depth import is_deeper
from relay_sync.protocol.frames import Failure, Malformed, Masked, Reply, RequestFrame
from relay_sync.protocol.results import failure_to_error
from tests.support.numbers import NO_NUMBERS

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
# Values that survive a trip through JSON unchanged.
PLAIN_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FRAME_LIKE = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("jsonrpc", "id", "method", "params", "result", "error"), JSON_VALUES),
)
DEEP = 100_000

# The same examples each time, and no clock: a busy machine is no failure.
steady = settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def parse_or_refuse(text: str) -> RequestFrame | Reply | Failure | None:
    try:
        return frames.parse(text)
    except Malformed:
        return None


# -- reading ---------------------------------------------------------------------------------------------------------


def test_a_request_is_read() -> None:
    text = '{"jsonrpc":"2.0","id":"a1","method":"signalwire.ping","params":{"timestamp":1.5,"payload":"x"}}'
    assert frames.parse(text) == RequestFrame("a1", "signalwire.ping", {"timestamp": 1.5, "payload": "x"})


def test_a_request_without_an_id_wants_no_answer() -> None:
    assert frames.parse('{"jsonrpc":"2.0","method":"signalwire.ping"}') == RequestFrame(None, "signalwire.ping", None)


def test_a_result_is_read() -> None:
    assert frames.parse('{"jsonrpc":"2.0","id":"b","result":{"code":"200"}}') == Reply("b", {"code": "200"})


def test_a_null_result_is_an_answer() -> None:
    assert frames.parse('{"id":"b","result":null}') == Reply("b", None)


def test_an_error_is_read() -> None:
    text = '{"id":"c","error":{"code":-32002,"message":"Authentication failed","data":{"status":401}}}'
    assert frames.parse(text) == Failure("c", -32002, "Authentication failed", {"status": 401})


def test_an_error_beside_a_null_result_is_an_error() -> None:
    assert frames.parse('{"id":"c","result":null,"error":{"code":-32603,"message":"x"}}') == Failure("c", -32603, "x")


def test_a_null_error_beside_a_result_is_a_result() -> None:
    assert frames.parse('{"id":"c","result":{"a":1},"error":null}') == Reply("c", {"a": 1})


def test_an_error_may_have_no_id() -> None:
    assert frames.parse('{"id":null,"error":{"code":-32700,"message":"parse"}}') == Failure(None, -32700, "parse")


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        ('{"code":"-32001","message":"Permission Denied."}', -32001, "Permission Denied."),
        ('{"code":true,"message":7}', None, ""),
        ('{"code":"many"}', None, ""),
        ('"just text"', None, "just text"),
        ("[]", None, "a list"),
        ("false", None, "False"),
    ],
)
def test_errors_of_odd_shapes(error: str, code: int | None, message: str) -> None:
    found = frames.parse(f'{{"id":1,"error":{error}}}')
    assert isinstance(found, Failure)
    assert (found.code, found.message) == (code, message)


def test_the_message_of_an_error_is_cut_where_it_is_told() -> None:
    found = frames.parse(json.dumps({"id": 1, "error": {"code": 1, "message": "x" * 10_000}}))
    assert isinstance(found, Failure)
    assert len(found.message) == 10_000
    assert len(failure_to_error(found, method="m").message) < 600


@pytest.mark.parametrize("frame_id", ['"text"', "0", "7", "-3", "2.5", '""', str(10**40)])
def test_ids_that_json_rpc_allows(frame_id: str) -> None:
    found = frames.parse(f'{{"id":{frame_id},"method":"m"}}')
    assert isinstance(found, RequestFrame)
    assert found.id == json.loads(frame_id)


@pytest.mark.parametrize("frame_id", ["true", "false", "[]", "[1]", "{}", '{"a":1}'])
def test_ids_of_wrong_types_are_refused(frame_id: str) -> None:
    with pytest.raises(Malformed, match="the ID has the wrong type"):
        frames.parse(f'{{"id":{frame_id},"method":"m"}}')


@pytest.mark.parametrize("frame_id", NO_NUMBERS)
def test_an_id_is_never_a_number_that_cannot_be_written_back(frame_id: str) -> None:
    found = parse_or_refuse(f'{{"id":{frame_id},"method":"signalwire.event"}}')
    if isinstance(found, RequestFrame) and found.id is not None:
        assert json.loads(frames.acknowledge(found.id))["id"] == found.id


@pytest.mark.parametrize("number", NO_NUMBERS)
def test_numbers_that_are_none_mean_no_value(number: str) -> None:
    assert frames.parse(f'{{"id":1,"result":{{"a":{number}}}}}') == Reply(1, {"a": None})


def test_of_a_member_given_twice_the_last_counts() -> None:
    assert frames.parse('{"id":1,"id":2,"result":{"a":1},"result":{"a":2}}') == Reply(2, {"a": 2})


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("\x00", "not JSON"),
        ("\ufeff{}", "not JSON"),
        ('{"id":"a","result":{}} x', "not JSON"),
        ("[" * DEEP, "nested too deeply"),
        ('{"a":' * DEEP, "nested too deeply"),
        (f'{{"id":{"9" * 5000},"method":"m"}}', "not JSON"),
        ("[]", "not an object"),
        ('[{"id":1,"method":"m"}]', "not an object"),
        ("null", "not an object"),
        ('"text"', "not an object"),
        ("1", "not an object"),
        ("{}", "neither a request nor a reply"),
        ('{"id":1}', "neither a request nor a reply"),
        ('{"id":null,"result":{}}', "neither a request nor a reply"),
        ('{"result":{}}', "neither a request nor a reply"),
        ('{"id":1,"method":5}', "the method has the wrong type"),
        ('{"id":1,"method":["m"]}', "the method has the wrong type"),
        ('{"id":1,"method":{}}', "the method has the wrong type"),
    ],
    ids=lambda value: value[:20],
)
def test_what_is_no_frame_is_refused(text: str, kind: str) -> None:
    with pytest.raises(Malformed) as caught:
        frames.parse(text)
    assert caught.value.kind == kind


def test_a_refusal_tells_nothing_of_the_content() -> None:
    with pytest.raises(Malformed) as caught:
        frames.parse('{"token":"PT-secret", oops')
    assert "PT-secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@steady
@given(st.text())
@example('{"error":' + "[" * 900 + "]" * 900 + "}")
def test_any_text_is_read_or_refused(text: str) -> None:
    parse_or_refuse(text)


@steady
@given(JSON_VALUES)
def test_any_json_is_read_or_refused(value: Any) -> None:
    parse_or_refuse(json.dumps(value))


@steady
@given(FRAME_LIKE)
@example({"id": math.inf, "method": "m"})
def test_any_object_with_the_members_of_a_frame_is_read_or_refused(value: dict[str, Any]) -> None:
    found = parse_or_refuse(json.dumps(value))
    if found is not None and found.id is not None:
        # Whatever was taken for an id can be sent back.
        assert json.loads(frames.acknowledge(found.id))["id"] == found.id
        assert json.loads(frames.build_error(found.id, -32601, "no"))["id"] == found.id


@pytest.mark.parametrize("depth", range(850, 1000, 5))
def test_any_depth_is_read_or_refused(depth: int) -> None:
    """Around the interpreter's limit, reading may work where repeating what was read does not."""
    nested = "[" * depth + "]" * depth
    for frame in (
        '{"id":1,"error":%s}',
        '{"id":1,"error":{"code":%s}}',
        '{"id":1,"result":%s}',
        '{"id":%s,"method":"m"}',
    ):
        parse_or_refuse(frame % nested)


# -- writing ---------------------------------------------------------------------------------------------------------


@steady
@given(st.text(min_size=1), st.text(min_size=1), st.dictionaries(st.text(max_size=8), PLAIN_VALUES, max_size=5))
def test_a_request_that_is_written_reads_the_same(frame_id: str, method: str, params: dict[str, Any]) -> None:
    text = frames.build_request(frame_id, method, params)
    assert text.isascii()
    assert json.loads(text)["jsonrpc"] == "2.0"
    assert frames.parse(text) == RequestFrame(frame_id, method, params)


@steady
@given(st.text() | st.integers(), st.dictionaries(st.text(max_size=8), PLAIN_VALUES, max_size=5))
def test_a_result_that_is_written_reads_the_same(frame_id: str | int, result: dict[str, Any]) -> None:
    assert frames.parse(frames.build_result(frame_id, result)) == Reply(frame_id, result)


@steady
@given(st.text() | st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_an_acknowledgement_is_an_empty_result(frame_id: str | int | float) -> None:
    assert json.loads(frames.acknowledge(frame_id)) == {"jsonrpc": "2.0", "id": frame_id, "result": {}}


def test_a_refusal_is_written() -> None:
    assert json.loads(frames.build_error("x", -32601, 'no "such"')) == {
        "jsonrpc": "2.0",
        "id": "x",
        "error": {"code": -32601, "message": 'no "such"'},
    }


class Unwritable:
    def __repr__(self) -> str:
        return "hunter2"


def circle() -> dict[str, Any]:
    value: dict[str, Any] = {"token": "hunter2"}
    value["self"] = value
    return value


def deep() -> list[Any]:
    value: list[Any] = ["hunter2"]
    for _ in range(DEEP):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [Unwritable(), {"hunter2"}, b"hunter2", math.nan, math.inf, {("hunter2",): 1}, circle(), deep()],
    ids=["object", "set", "bytes", "nan", "infinity", "key", "circle", "deep"],
)
def test_what_json_cannot_express_is_refused_without_its_value(value: Any) -> None:
    for attempt in (
        lambda: frames.build_request("1", "m", {"token": value}),
        lambda: checks.check_json("custom_parameters", value),
    ):
        with pytest.raises(InvalidParameter) as caught:
            attempt()
        assert "hunter2" not in f"{caught.value!s} {caught.value!r} {caught.value.value!r} {caught.value.args!r}"
        assert caught.value.parameter in ("params", "custom_parameters")


# -- secrets ---------------------------------------------------------------------------------------------------------

SECRET_MEMBERS = [
    "authentication",
    "authorization",
    "authorization_bearer_token",
    "authorization_state",
    "custom_parameters",
    "dpop_token",
    "jwt_token",
    "password",
    "post_prompt_auth_password",
    "project",
    "token",
]
SECRET = "s3cr3t-value"


@pytest.mark.parametrize("name", [*SECRET_MEMBERS, "Token", "AUTHORIZATION"])
@pytest.mark.parametrize("value", [SECRET, {"any": SECRET}, [SECRET], [{"deep": [SECRET]}]])
def test_secrets_are_hidden_wherever_they_stand(name: str, value: Any) -> None:
    frame = {"params": [{"inner": {name: value, "kept": "seen"}}]}
    shown = json.dumps(frames.mask(frame))
    assert SECRET not in shown
    assert "seen" in shown
    assert frame["params"][0]["inner"][name] == value  # the frame itself is as it was


@steady
@given(PLAIN_VALUES, st.data())
def test_no_planted_secret_shows(tree: Any, data: st.DataObject) -> None:
    places: list[Any] = []

    def walk(node: Any) -> None:
        if isinstance(node, (dict, list)):
            places.append(node)
            for inner in node.values() if isinstance(node, dict) else node:
                walk(inner)

    root = {"root": tree}
    walk(root)
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.sampled_from(places))
        name = data.draw(st.sampled_from(SECRET_MEMBERS))
        secret = data.draw(st.sampled_from([SECRET, [SECRET], {"x": SECRET}]))
        if isinstance(place, dict):
            place[name] = secret
        else:
            place.append({name: secret})
    assert SECRET not in json.dumps(frames.mask(root))
    assert SECRET not in str(Masked(json.dumps(root)))


@steady
@given(PLAIN_VALUES)
def test_what_holds_no_secret_is_shown_as_it_is(tree: Any) -> None:
    shown = json.dumps(tree)
    if "://" not in shown and not any(name in shown.lower() for name in SECRET_MEMBERS):
        assert frames.mask(tree) == tree


@pytest.mark.parametrize(
    "url",
    [
        f"https://user:{SECRET}@example.com/a",
        f"https://{SECRET}@example.com",
        f"https://user:{SECRET}@{SECRET}@example.com/",
        f"https://user:p%40{SECRET}@example.com:8080/?a=b@c",
        f"see wss://a:{SECRET}@h/ and wss://b:{SECRET}@i/",
    ],
)
def test_credentials_in_urls_are_hidden(url: str) -> None:
    shown = frames.mask({"status_url": url})["status_url"]
    assert SECRET not in shown
    assert "://***@" in shown


def test_addresses_that_are_no_credentials_are_kept() -> None:
    for text in ("user@example.com", "sip:a@b.c", "https://example.com/a@b", "https://example.com/?to=a@b"):
        assert frames.mask(text) == text


def test_masking_takes_time_in_proportion() -> None:
    text = "://" * 100_000 + "@"
    assert frames.mask(text) == text
    assert frames.mask("://" + "a" * 300_000 + " @").endswith(" @")


def test_a_frame_in_a_log_shows_no_secret() -> None:
    text = '{"id":1,"method":"signalwire.connect","params":{"authentication":{"project":"p-1","token":"PT-1"}}}'
    shown = str(Masked(text))
    assert "PT-1" not in shown
    assert "p-1" not in shown
    assert "signalwire.connect" in shown


@pytest.mark.parametrize("text", ['{"token":"s3cr3t-value"', "s3cr3t-value", "[" * DEEP, "9" * 5000], ids=range(4))
def test_what_is_no_json_is_shown_by_its_size_only(text: str) -> None:
    assert str(Masked(text)) == f"<{len(text)} characters that are not JSON>"


@steady
@given(st.text())
def test_any_text_can_be_logged(text: str) -> None:
    assert isinstance(str(Masked(text)), str)


# -- nesting ---------------------------------------------------------------------------------------------------------


@given(
    st.recursive(
        st.text(max_size=4) | st.integers(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    )
)
def test_depth_is_that_of_the_value(value: Any) -> None:
    def depth(inner: Any) -> int:
        if not isinstance(inner, (list, dict)):
            return 0
        return 1 + max(map(depth, inner.values() if isinstance(inner, dict) else inner), default=0)

    text = json.dumps(value).encode()
    assert not is_deeper(text, depth(value))
    assert depth(value) == 0 or is_deeper(text, depth(value) - 1)


@pytest.mark.parametrize(
    "text", [b'"', b'"\\', b'"\\"[[[', b'"' + b'\\"' * 500_000 + b"[", b"[]" * 500_000, b'"\n[[[[']
)
def test_brackets_in_texts_and_unfinished_texts_do_not_count(text: bytes) -> None:
    assert not is_deeper(text, 1)
