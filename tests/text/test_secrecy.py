"""Secrets are hidden by their value: whatever a server repeats, in whichever text and spelling, it is not shown."""

from __future__ import annotations

import base64
import gc
import html
import io
import json
import logging
import pickle
import threading
import time
import traceback
import urllib.parse
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

import relay_sync
from relay_sync import (
    AuthenticationError,
    CallEnded,
    CommandRefused,
    ConnectError,
    InvalidParameter,
    RelayClient,
    RelayError,
)
from relay_sync.audio import AudioServer
from relay_sync.events import parse_event
from relay_sync.protocol.frames import Failure, Masked, mask
from relay_sync.protocol.results import failure_to_error, result_or_error
from relay_sync.rest import RestClient
from relay_sync.rest.replies import refusal
from relay_sync.simulator import Simulator
from relay_sync.text import secrecy
from relay_sync.text.secrecy import MOST_LEARNED, Secrets, hide, keep, may_hold, passwords
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.lines import line

TOKEN = "PT-planted-token-5001"
ODD = 'pl"ant&ed/t+ok\\en=\u00e9 5002'
BEARER = "planted-bearer-5003"
CUSTOM = "planted-pin-5004"
MakeClient = Callable[..., RelayClient]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the loggers of the package write at DEBUG, tracebacks included."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    logger = logging.getLogger("relay_sync")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield written
    logger.removeHandler(handler)
    logger.setLevel(level)


def shown(error: BaseException) -> str:
    """Everything that an exception and what it came from have to show."""
    parts = []
    link: BaseException | None = error
    while link is not None:
        parts += [str(link), repr(link), repr(link.args), repr(vars(link)), *traceback.format_exception(link)]
        link = link.__cause__ or link.__context__
    return "\n".join(parts)


# -- texts -----------------------------------------------------------------------------------------------------------------


def spellings(secret: str) -> list[str]:
    pairs = [f"{prefix}{secret}".encode() for prefix in ("", "p", "project:", "id")]
    quoted = urllib.parse.quote(secret, safe="")
    return [
        secret,
        f"x{secret}y",
        urllib.parse.quote(secret),
        quoted,
        urllib.parse.quote(quoted, safe=""),
        quoted.lower() if "%" in quoted and secret.islower() else quoted,
        urllib.parse.quote_plus(secret),
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
        json.dumps(json.dumps(secret)),
        html.escape(secret),
        repr(secret),
        *(base64.b64encode(pair).decode() for pair in pairs),
        *(base64.urlsafe_b64encode(pair).decode().rstrip("=") for pair in pairs),
        base64.b64encode(f"{secret}@host".encode()).decode(),
    ]


@pytest.mark.parametrize(
    "secret", [TOKEN, ODD, "s3cret", "correct horse battery", "a" * 500, "\u043f\u0430\u0440\u043e\u043b-42"]
)
def test_a_secret_is_found_in_every_spelling(secret: str) -> None:
    known = Secrets(secret)
    for written in spellings(secret):
        text = f"no such url wss://x/?t={written} (code 4)"
        told = known.hide(text)
        assert "***" in told, written
        assert told.startswith("no such url wss://x/?t=")
        assert told.endswith(" (code 4)")
        assert written not in told


def test_all_of_base64_goes_not_only_the_middle() -> None:
    written = base64.b64encode(f"project-0815:{TOKEN}".encode()).decode()
    assert Secrets(TOKEN).hide(f"Basic {written}, refused") == "Basic ***, refused"


@pytest.mark.parametrize("secret", ["a", "ab", "e ", "", "\u00e9"])
def test_a_secret_of_one_or_two_letters_mangles_nothing(secret: str) -> None:
    text = "calling.play was refused: ab a b e; check project and token"
    assert Secrets(secret).hide(text, theirs=True) == text


@pytest.mark.parametrize("secret", ["tok", "token", "secret", "hello-1"[:5]])
def test_a_short_secret_is_hidden_as_a_word_of_the_server_and_not_among_our_own(secret: str) -> None:
    known = Secrets(secret)
    assert known.hide(f"bad {secret}!", theirs=True) == "bad ***!"
    assert known.hide(f"re{secret}s", theirs=True) == f"re{secret}s"
    assert known.hide(f"check project and {secret}") == f"check project and {secret}"


def test_the_longer_of_two_secrets_goes_first() -> None:
    assert Secrets("planted-1", "planted-1-and-more").hide("planted-1-and-more") == "***"


def test_old_secrets_stay_hidden_and_their_number_is_bounded() -> None:
    known = Secrets(TOKEN)
    for number in range(MOST_LEARNED + 1):
        known.learn(f"bearer-number-{number}")
    assert known.hide(f"{TOKEN} bearer-number-0 bearer-number-1 bearer-number-{MOST_LEARNED}") == (
        "*** bearer-number-0 *** ***"
    )


def test_secrets_are_forgotten_with_their_client() -> None:
    known = keep(Secrets("planted-5099-of-a-client"))
    assert hide("planted-5099-of-a-client") == "***"
    del known
    gc.collect()
    assert hide("planted-5099-of-a-client") == "planted-5099-of-a-client"


def test_what_is_learned_of_a_command() -> None:
    known = Secrets()
    deep: Any = {"password": "planted-deep-5010"}
    for _ in range(2000):
        deep = [deep]
    known.learn_from(
        {
            "Authorization_Bearer_Token": BEARER,
            "authentication": {"project": "project-0815", "jwt_token": "planted-jwt-5011"},
            "custom_parameters": {"language": "English-GB"},
            "status_url": "https://user:planted%2Dpw-5012@example.com/x",
            "deep": deep,
        }
    )
    for secret in (BEARER, "planted-jwt-5011", "planted-pw-5012", "planted%2Dpw-5012", "planted-deep-5010"):
        assert known.hide(secret) == "***"
    assert known.hide("project-0815 English-GB") == "project-0815 English-GB"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('{"method":"calling.play"}', False),
        ('{"Token":1}', True),
        ('{"url":"https://u:p@h"}', True),
        ('"a@b"', False),
        ('{"node_id":"n@region","url":"https://h/"}', False),
        ('{"node_id":"n@region","url":"https://h/","to":"bob:pw@pbx"}', True),
        ('{"url":"https://h/","to":":pw@pbx"}', True),
        ('{"url":"https://h/","to":"bob:p\\"w@pbx"}', True),
    ],
)
def test_most_commands_are_not_looked_into(text: str, wanted: bool) -> None:
    assert may_hold(text) is wanted


@pytest.mark.traced
@pytest.mark.parametrize(("end", "wanted"), [('"', False), ('","to":"bob:pw@pbx"', True), (':pw@pbx"', True)])
def test_signs_without_end_cost_what_the_text_is_long(end: str, wanted: bool) -> None:
    text = '{"url":"https://h/","text":"' + "@" * 1_000_000 + end
    began = time.monotonic()
    assert may_hold(text) is wanted
    assert time.monotonic() - began < PATIENCE


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("http://user:planted-pw@proxy:80", ["planted-pw", "planted-pw"]),
        ("user:planted-pw@proxy:80", ["planted-pw", "planted-pw"]),
        ("http://user@proxy", []),
        ("http://proxy", []),
    ],
)
def test_passwords_of_urls(url: str, wanted: list[str]) -> None:
    found = passwords(url)
    assert found[:2] == wanted
    assert found[2:] == ([base64.b64encode(b"user:planted-pw").decode()] if wanted else [])


# -- many clients ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def crowd() -> list[Secrets]:
    """More clients than are looked at one by one."""
    return [keep(Secrets(f"PT-of-the-crowd-{number:06}", f"w{number:03}")) for number in range(300)]


@pytest.mark.parametrize(
    "secret",
    [
        TOKEN,
        ODD,
        "s3cret",
        "correct horse battery",
        "a" * 500,
        "\u043f\u0430\u0440\u043e\u043b-42",
        "/+=&%/+=&",
        "a b c d e",
    ],
)
def test_among_many_clients_a_secret_is_found_in_every_spelling(crowd: list[Secrets], secret: str) -> None:
    known = keep(Secrets(secret))
    for text in spellings(secret):
        for around in (text, f"before {text} behind", f"PT-of-the-crowd-000299 {text}"):
            shown = hide(around)
            assert shown == Secrets("PT-of-the-crowd-000299").hide(known.hide(around))
            assert secret not in shown
    del known


def test_among_many_clients_each_secret_is_hidden_as_long_as_its_client_is_there(crowd: list[Secrets]) -> None:
    assert hide("x PT-of-the-crowd-000007 w007") == "x *** w007"
    assert hide("x PT-of-the-crowd-000007 w007", theirs=True) == "x *** ***"
    crowd[7].learn("learned-much-later")
    assert hide("x learned-much-later") == "x ***"
    del crowd[7]
    gc.collect()
    assert hide("x PT-of-the-crowd-000007 learned-much-later") == "x PT-of-the-crowd-000007 learned-much-later"
    known = keep(Secrets("PT-of-the-crowd-000007"))
    assert hide("x PT-of-the-crowd-000007") == "x ***"
    del known


def test_an_exception_costs_the_same_however_many_clients_there_are(
    crowd: list[Secrets], monkeypatch: pytest.MonkeyPatch
) -> None:
    hide("x")
    asked = list[Secrets]()
    original = Secrets.hide

    def counted(self: Secrets, text: str, *, theirs: bool = False) -> str:
        asked.append(self)
        return original(self, text, theirs=theirs)

    monkeypatch.setattr(Secrets, "hide", counted)
    assert str(ConnectError("the server said PT-of-the-crowd-000042")) == "the server said ***"
    assert set(asked) <= {crowd[42]}


def test_what_is_forgotten_fills_no_memory(crowd: list[Secrets]) -> None:
    for number in range(20 * MOST_LEARNED):
        crowd[0].learn(f"bearer-{number:09}")
        if number % 100 == 0:
            assert hide(f"x bearer-{number:09}") == "x ***"
    assert len(secrecy._index._owners) < 30 * (MOST_LEARNED + len(crowd))


# -- exceptions ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(name for name in relay_sync.errors.__all__ if name != "InvalidParameter"))
def test_no_attribute_of_any_exception_holds_a_secret(name: str) -> None:
    kind = getattr(relay_sync, name)
    known = keep(Secrets(TOKEN))
    text = f"the server said {TOKEN}"
    error = kind(400, text) if issubclass(kind, CommandRefused) or kind is RelayError else kind(text)
    for attribute in ("reason", "end_reason", "state", "url", "method", "call_id"):
        if hasattr(error, attribute):
            setattr(error, attribute, text)
    for each in (error, error.fresh(), pickle.loads(pickle.dumps(error))):
        assert TOKEN not in shown(each)
        assert "the server said ***" in str(each)
    del known


@pytest.mark.parametrize("value", [TOKEN, {"url": TOKEN}, [TOKEN], f"{'x' * 190}{TOKEN}"])
def test_a_value_that_is_refused_holds_no_secret(value: Any) -> None:
    known = keep(Secrets(TOKEN))
    error = InvalidParameter("url", value, "a URL")
    assert TOKEN[:7] not in shown(error)
    del known


@pytest.mark.parametrize("at", [0, 480, 490, 499, 500])
def test_a_secret_is_hidden_before_a_text_is_cut(at: int) -> None:
    known = keep(Secrets(TOKEN))
    text = f"{'x' * at}{TOKEN}{'y' * 100}"
    errors = [
        result_or_error({"code": "400", "message": text, "data": text[200:]}, method="m"),
        result_or_error({"code": [text[at - 40 :]]}, method="m"),
        failure_to_error(Failure("1", -1, text), method="m"),
        refusal(422, json.dumps({"errors": [{"message": text[at - 190 :]}]}).encode(), command="m"),
    ]
    for error in errors:
        assert isinstance(error, CommandRefused)
        assert "PT-plan" not in shown(error)
    del known


@pytest.mark.parametrize("name", ["custom_parameters", "Custom_Parameters"])
def test_what_a_command_alone_was_given_is_hidden_in_its_refusal(name: str) -> None:
    sent = {"device": {"params": {name: {"pin": CUSTOM, "n": ["word"], "x": 5}}}}
    for error in (
        result_or_error({"code": "400", "message": f"pin {CUSTOM}", "data": {CUSTOM: "word"}}, method="m", sent=sent),
        failure_to_error(Failure("1", 5, f"pin {CUSTOM}: word", None), method="m", sent=sent),
    ):
        assert isinstance(error, CommandRefused)
        assert CUSTOM not in shown(error)
        assert "'word'" not in shown(error)


def test_a_cause_that_holds_a_secret_is_cut_off() -> None:
    known = keep(Secrets(TOKEN))
    for cause, kept in ((ValueError(f"body: {TOKEN}"), False), (ValueError("harmless"), True)):
        error = ConnectError("no")
        error.__cause__ = cause
        secrecy.drop_causes(error)
        assert (error.__cause__ is cause) is kept
    del known


# -- logs ------------------------------------------------------------------------------------------------------------------


def test_the_repr_of_an_event_holds_no_secret() -> None:
    known = keep(Secrets(TOKEN))
    told = {"event_type": "calling.error", "params": {"code": "400", "message": f"bad {TOKEN}", "call_id": TOKEN}}
    event = parse_event(told)
    assert TOKEN not in repr(event)
    assert "bad ***" in repr(event)
    assert event.params["message"] == f"bad {TOKEN}"  # the value itself is as it came
    del known


def test_frames_are_masked_by_name_and_by_value() -> None:
    known = keep(Secrets(TOKEN, "word"))
    frame = {"identity": f"x-{TOKEN}", TOKEN: 1, "token": "t", "list": [json.dumps({"t": TOKEN})], "word": "a word"}
    told = str(Masked(json.dumps(frame)))
    assert json.loads(told) == {
        "identity": "x-***",
        "***": 1,
        "token": "***",
        "list": ['{"t": "***"}'],
        "word": "a ***",
    }
    assert mask(5) == 5
    del known


@pytest.mark.parametrize("name", ["", ".callbacks", ".audio", ".server", ".simulator"])
def test_no_logger_of_ours_writes_a_secret(log: io.StringIO, name: str) -> None:
    known = keep(Secrets(TOKEN))
    logger = logging.getLogger(f"relay_sync{name}")
    logger.info("100%% of %s", TOKEN)
    logger.info(f"100% of {TOKEN}")
    try:
        raise ValueError(f"a user's {TOKEN}")
    except ValueError:
        logger.exception("a callback raised")
    assert TOKEN not in log.getvalue()
    assert log.getvalue().count("100% of ***") == 2
    assert "ValueError: a user's ***" in log.getvalue()
    del known


class Unprintable:
    def __str__(self) -> str:
        raise AssertionError("nobody writes this line")


def test_nothing_is_looked_at_where_nothing_is_written(
    sim: Simulator, client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "relay_sync")
    one = client()
    one.connect()
    one._link.secrets._forms = None
    logging.getLogger("relay_sync").debug("%s", Unprintable())
    assert one.execute("signalwire.ping") == {}
    assert one._link.secrets._forms is None, "no form of a secret has been made"


# -- a whole client --------------------------------------------------------------------------------------------------------


def test_a_server_that_repeats_everything(log: io.StringIO, sim: Simulator, client: MakeClient) -> None:
    with line(sim) as one:
        token, call = one.client.token, one.call
        assert len(token) >= 8
        state = next(iter(sim._world.sessions)).authorization_state
        call.on("calling.odd", lambda event: 1 / len(event.params["nothing"]))
        call.stream("wss://example.com/a", authorization_bearer_token=BEARER)
        everything = f"{token} {state} {BEARER} {urllib.parse.quote(state, safe='')}"
        sim.refuse("calling.denoise", 400, everything, data={"said": everything})
        with pytest.raises(CommandRefused) as caught:
            call.denoise()
        sim.fail("calling.echo", -32603, everything)
        with pytest.raises(CommandRefused) as failed:
            call.echo()
        told = [shown(caught.value), shown(failed.value)]
        sim.send_event("calling.odd", {"call_id": call.call_id, "nothing": "", everything: everything})
        sim.send_raw(json.dumps({"jsonrpc": "2.0", "id": "x", "method": everything, "params": {"x": everything}}))
        waiting = Background(call.wait_for, "calling.never")
        sim.send_event("calling.call.state", {"call_id": call.call_id, "call_state": "ended", "end_reason": everything})
        with pytest.raises(CallEnded) as ended:
            waiting.result()
        told.append(shown(ended.value))
        one.client.execute("signalwire.ping")
    everywhere = "\n".join([log.getvalue(), *told])
    assert "***" in everywhere
    for secret in (token, state, BEARER):
        assert secret not in everywhere


@pytest.mark.parametrize("shape", ["error", "result"])
def test_a_refused_connect_shows_no_secret(log: io.StringIO, sim: Simulator, shape: str) -> None:
    text = f"{'x' * 480}{TOKEN} {base64.b64encode(f'project-1:{TOKEN}'.encode()).decode()}"
    if shape == "error":
        sim.fail("signalwire.connect", -32002, text, times=None)
    else:
        sim.refuse("signalwire.connect", 401, text, times=None)
    one = RelayClient(project="project-1", token=TOKEN, host=sim.url)
    with pytest.raises(AuthenticationError) as caught:
        one.connect(PATIENCE)
    one.disconnect()
    assert "PT-plan" not in shown(caught.value) + log.getvalue()
    assert "xxx***" in str(caught.value)


def test_old_tokens_stay_secret(log: io.StringIO) -> None:
    old, new = "eyJ0.planted-jwt-5021.sig", "eyJ0.planted-jwt-5022.sig"
    with Simulator(jwt_token=old) as sim, RelayClient(jwt_token=old, host=sim.url) as one:
        sim.add_project(sim.settings.project, jwt_token=new)
        one.reauthenticate(new)
        sim.refuse("calling.x", 400, f"{old} {new}")
        with pytest.raises(CommandRefused) as caught:
            one.execute("calling.x")
        assert "planted-jwt" not in shown(caught.value) + log.getvalue()


class _Repeating(BaseHTTPRequestHandler):
    """A server that is none for WebSockets, and repeats what it must not in its page, its status and its header."""

    def do_GET(self) -> None:
        body = f"<html>{TOKEN}</html>".encode()
        self.send_response(403, f"no {TOKEN}")
        self.send_header("X-Token", TOKEN)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def page() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Repeating) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_what_an_upgrade_is_refused_with_is_not_chained(log: io.StringIO, page: str) -> None:
    one = RelayClient(project="project-1", token=TOKEN, host=f"ws://{page}")
    with pytest.raises(ConnectError) as caught:
        one.connect(0.5)
    one.disconnect()
    assert TOKEN not in shown(caught.value) + log.getvalue()
    assert "403" in str(caught.value)


def test_rest_errors_show_no_secret(log: io.StringIO, page: str) -> None:
    with RestClient(project="project-1", token=TOKEN, host=f"http://{page}") as rest:
        with pytest.raises(CommandRefused) as caught:
            rest.call("c").hangup()
    assert TOKEN not in shown(caught.value) + log.getvalue()


@pytest.mark.parametrize(
    "variables", [{}, {"https_proxy": "http://user:planted-pw-5031@proxy.example:80"}], ids=["argument", "environment"]
)
def test_the_password_of_a_proxy_is_known(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    proxy = None if variables else "http://user:planted-pw-5031@proxy.example:80"
    one = RelayClient("project-1", TOKEN, host="example.com", proxy=proxy)
    basic = base64.b64encode(b"user:planted-pw-5031").decode()
    assert str(ConnectError(f"407 for planted-pw-5031, Basic {basic}")) == "407 for ***, Basic ***"
    assert one.state == "idle"


def test_the_token_of_a_receiver_is_known() -> None:
    with AudioServer(token="planted-receiver-5041"):
        assert hide("shown: planted-receiver-5041") == "shown: ***"


@pytest.mark.parametrize("first", ["hunter2", "hunter2-and-more"])
def test_a_secret_that_is_a_part_of_another_client_s_leaves_nothing_of_it(first: str) -> None:
    second = {"hunter2": "hunter2-and-more", "hunter2-and-more": "hunter2"}[first]
    known = [keep(Secrets(first)), keep(Secrets(second))]
    assert hide("it was hunter2-and-more, not hunter2") == "it was ***, not ***"
    del known
