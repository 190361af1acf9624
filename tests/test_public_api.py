"""The names and signatures that users rely on: growing is free, losing one is a breaking change."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import relay_sync
from relay_sync import Call, RelayClient, StreamAction

NAMES = """
Action AuthenticationError Call CallEnded CallReceiveEvent CallStateEvent ClientClosed CommandRefused ConnectError
ConnectTimeout ConnectionLost DialFailed Expectation Forked InvalidParameter NotConnected QueueFull RelayClient RelayError
RelayEvent RequestTimeout StreamAction StreamEvent StreamFailed StreamIsOneWay UnsupportedCodec WaitTimeout WrongThread
__version__ parse_event
"""

SIGNATURES: dict[Callable[..., object], str] = {
    RelayClient.__init__: "project token jwt_token host contexts max_active_calls * connect_timeout request_timeout ping_interval"
    " ping_timeout max_frame max_queue ssl_context ca_file proxy on_state on_error on_handler_error allow_insecure",
    RelayClient.connect: "timeout",
    RelayClient.disconnect: "timeout * hangup_calls",
    RelayClient.close: "timeout * hangup_calls",
    RelayClient.run: "* hangup_calls",
    RelayClient.stop: "",
    RelayClient.on_call: "handler",
    RelayClient.execute: "method params * timeout",
    RelayClient.timeout: "limit",
    RelayClient.wait_until_ready: "timeout",
    Call.answer: "* extra",
    Call.hangup: "reason",
    Call.pass_: "",
    Call.on: "event_type handler",
    Call.events: "",
    Call.wait_for: "event_type predicate timeout",
    Call.expect: "event_type predicate timeout",
    Call.wait_for_ringing: "timeout",
    Call.wait_for_answered: "timeout",
    Call.wait_for_ending: "timeout",
    Call.wait_for_ended: "timeout",
    Call.stream: "url * name codec track status_url status_url_method authorization_bearer_token custom_parameters"
    " control_id on_completed extra",
    StreamAction.wait: "timeout",
    StreamAction.stop: "",
}
ATTRIBUTES = {
    RelayClient: "state calls project host contexts relay_protocol",
    StreamAction: "is_done completed result error",
}


def test_the_public_names() -> None:
    assert set(relay_sync.__all__) >= set(NAMES.split())
    assert len(set(relay_sync.__all__)) == len(relay_sync.__all__)
    for name in relay_sync.__all__:
        assert hasattr(relay_sync, name)


def test_public_classes_say_they_live_in_relay_sync() -> None:
    for name in relay_sync.__all__:
        value = getattr(relay_sync, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__module__ == "relay_sync", name


def test_signatures_lose_nothing() -> None:
    for function, written in SIGNATURES.items():
        wanted_positional, _, wanted_keywords = written.partition("*")
        parameters = list(inspect.signature(function).parameters.values())
        if parameters and parameters[0].name == "self":
            parameters = parameters[1:]
        positional = [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
        keywords = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]
        assert positional == wanted_positional.split(), function
        assert set(keywords) >= set(wanted_keywords.split()), function


def test_attributes() -> None:
    for cls, names in ATTRIBUTES.items():
        for name in names.split():
            assert isinstance(inspect.getattr_static(cls, name), property), (cls, name)


def test_every_public_thing_is_documented() -> None:
    for name in relay_sync.__all__:
        value = getattr(relay_sync, name)
        if not inspect.isclass(value):
            continue
        assert inspect.getdoc(value), name
        for member, function in inspect.getmembers(value, inspect.isfunction):
            if not member.startswith("_") and function.__module__.startswith("relay_sync"):
                assert inspect.getdoc(function), f"{name}.{member}"
