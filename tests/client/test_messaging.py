"""Messages and tasks, contexts at run time, a newer JWT."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from relay_sync import (
    AuthenticationError,
    ClientClosed,
    CommandRefused,
    ConnectionLost,
    InvalidParameter,
    Message,
    MessageNotFollowed,
    MessageStateEvent,
    RelayClient,
    RelayEvent,
    RequestTimeout,
    TaskEvent,
    WaitTimeout,
)
from relay_sync.client.messages import NEWS_PATIENCE, MessageDesk
from relay_sync.simulator import Simulator
from relay_sync.threads.lanes import InContext
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.far_end import mute
from tests.support.lines import drop

Json = dict[str, Any]
MakeClient = Callable[..., RelayClient]
TO, FROM = "+15550100033", "+15550100011"


@pytest.fixture
def quiet(sim: Simulator) -> Simulator:
    """A simulator that names messages but tells nothing of them by itself."""
    mute(sim)
    sim._platform.handlers = {**sim._platform.handlers, "messaging.send": _name}
    return sim


def _name(request: Any) -> None:
    request.accept(message_id=f"m{len(request.world.journal.requests('messaging.send'))}")


def state(sim: Simulator, message_id: str, word: str, **more: Any) -> None:
    """A message moves on. Its envelope has a context instead of a channel."""
    body = {
        "message_id": message_id,
        "message_state": word,
        "context": "office",
        "direction": "outbound",
        "from_number": FROM,
        "to_number": TO,
        "body": "Your table is ready",
        "media": [],
        "segments": 1,
        "tags": [],
    }
    sim.send_event("messaging.state", {**body, **more}, context="office")


def receive(sim: Simulator, message_id: str, body: str = "On my way", **members: Any) -> None:
    """A message comes in."""
    params = {
        "message_id": message_id,
        "message_state": "received",
        "context": "office",
        "direction": "inbound",
        "from_number": TO,
        "to_number": FROM,
        "body": body,
        "media": ["https://files.example.test/a.jpg"],
        "segments": 1,
        "tags": ["vip"],
    }
    sim.send_event("messaging.receive", params, context="office", **members)


def test_frame(quiet: Simulator, client: MakeClient) -> None:
    one = client()
    message = one.send_message(to_number=TO, from_number=FROM, body="Your table is ready")
    (sent,) = quiet.journal.requests("messaging.send")
    assert sent["params"] == {
        "context": one.relay_protocol,  # so that its states come back to this client
        "to_number": TO,
        "from_number": FROM,
        "body": "Your table is ready",
    }
    assert (message.message_id, message.direction, message.context) == ("m1", "outbound", one.relay_protocol)
    assert (message.to_number, message.from_number, message.body) == (TO, FROM, "Your table is ready")


@pytest.mark.usefixtures("slow_after_waking")
def test_whoever_waited_for_its_end_finds_on_completed_queued(quiet: Simulator, client: MakeClient) -> None:
    one = client()
    done: list[Any] = []
    message = one.send_message(to_number=TO, from_number=FROM, body="hi", on_completed=done.append)
    state(quiet, "m1", "delivered")
    event = message.wait(PATIENCE)
    one._router.callbacks.in_lane(message._lane, "test", done.append, "after")
    one.disconnect()
    assert done == [event, "after"]


def reply_with(sim: Simulator, result: Json) -> None:
    sim._platform.handlers = {**sim._platform.handlers, "messaging.send": lambda request: request.reply(result)}


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        ({"code": "200", "message_id": "m1"}, ("m1", "queued")),
        ({"message_id": "m1", "message_state": "initiated"}, ("m1", "initiated")),
        ({"message_id": "m1", "state": "sent"}, ("m1", "sent")),
        ({"message_id": "m1", "state": ""}, ("m1", "queued")),
        ({"message_id": 17, "message_state": ["odd"]}, ("17", "queued")),
    ],
)
def test_a_message_that_was_taken_is_queued(
    quiet: Simulator, client: MakeClient, reply: Json, wanted: tuple[str, str]
) -> None:
    reply_with(quiet, reply)
    message = client().send_message(to_number=TO, from_number=FROM, body="x")
    assert (message.message_id, message.state) == wanted
    state(quiet, wanted[0], "delivered")
    message.wait(PATIENCE)
    assert message.state == "delivered"


@pytest.mark.parametrize("result", ["taken", ["m1"], None, True])
def test_a_reply_that_is_no_object_names_no_message(quiet: Simulator, client: MakeClient, result: Any) -> None:
    reply_with(quiet, result)
    message = client().send_message(to_number=TO, from_number=FROM, body="x")
    assert message.is_done
    assert "accepted the message without an ID" in str(message.error)


def test_a_state_by_the_name_that_other_events_have_for_it_counts(quiet: Simulator, client: MakeClient) -> None:
    message = client().send_message(to_number=TO, from_number=FROM, body="x")
    quiet.send_event("messaging.state", {"message_id": message.message_id, "state": "delivered"})
    message.wait(PATIENCE)
    assert message.state == "delivered"


def test_messages_under_one_id_are_told_apart_by_what_they_say(sim: Simulator, client: MakeClient) -> None:
    one, got = client(), queue.SimpleQueue[str]()
    one.on_message(lambda message: got.put(message.body))
    one.connect()
    for body in ("first", "first", "second", "second"):
        receive(sim, "m1", body)
    assert sorted(got.get(timeout=PATIENCE) for _ in range(2)) == ["first", "second"]
    sim.wait_for_acks(PATIENCE)
    assert got.empty()
    sim.forget_sessions()
    drop(sim, one)
    receive(sim, "m1", "second")  # another session, whose ids are its own
    assert got.get(timeout=PATIENCE) == "second"


def test_frame_with_everything(quiet: Simulator, client: MakeClient) -> None:
    message = client().send_message(
        to_number=TO,
        from_number=FROM,
        context="office",
        body="look",
        media=["https://files.example.test/a.jpg"],
        tags=["order", "7781"],
        region="us",
        tag="order-7781",
        send_as_mms=True,
        status_callback="https://app.example.test/status",
        on_completed=print,
        extra={"template_id": "t1"},
    )
    (sent,) = quiet.journal.requests("messaging.send")
    assert sent["params"] == {
        "context": "office",
        "to_number": TO,
        "from_number": FROM,
        "body": "look",
        "media": ["https://files.example.test/a.jpg"],
        "tags": ["order", "7781"],
        "region": "us",
        "tag": "order-7781",
        "send_as_mms": True,
        "status_callback": "https://app.example.test/status",
        "template_id": "t1",
    }
    assert (message.media, message.tags) == (["https://files.example.test/a.jpg"], ["order", "7781"])


@pytest.mark.parametrize(("word", "reason"), [("delivered", ""), ("undelivered", "carrier rejected"), ("failed", "x")])
def test_a_message_is_followed_to_its_end(quiet: Simulator, client: MakeClient, word: str, reason: str) -> None:
    one = client()
    done: list[RelayEvent] = []
    heard: list[str] = []
    message = one.send_message(to_number=TO, from_number=FROM, body="hi", on_completed=done.append)

    @message.on
    def moved(event: RelayEvent) -> None:
        assert isinstance(event, MessageStateEvent)
        heard.append(event.message_state)

    assert moved is not None
    waiting = Background(message.wait, PATIENCE)
    for step in ("queued", "initiated", "sent"):
        state(quiet, "m1", step)
    quiet.wait_for_acks()
    assert (message.is_done, message.result, message.error) == (False, None, None)
    with pytest.raises(WaitTimeout, match=r"call wait\(\) again"):
        message.wait(0.01)
    state(quiet, "m1", word, reason=reason, segments=2)
    event = waiting.result()
    assert isinstance(event, MessageStateEvent)
    assert (message.state, message.reason, message.segments) == (word, reason, 2)
    assert message.is_done
    assert message.result == event
    assert message.wait() is event
    state(quiet, "m1", word)
    quiet.wait_for_acks()
    one.disconnect()
    assert heard == ["queued", "initiated", "sent", word]
    assert done == [event]


def test_states_may_come_before_the_reply(quiet: Simulator, client: MakeClient) -> None:
    one = client()
    one.connect()
    done: list[RelayEvent] = []
    quiet.hold("messaging.send")
    sending = Background(lambda: one.send_message(to_number=TO, from_number=FROM, body="hi", on_completed=done.append))
    quiet.wait_for_held("messaging.send")
    state(quiet, "m1", "queued")
    state(quiet, "m1", "delivered")
    state(quiet, "stranger", "delivered")
    quiet.wait_for_acks()
    quiet.release("messaging.send")
    message = sending.result()
    event = message.wait(0)
    assert isinstance(event, MessageStateEvent)
    assert (event.message_state, message.state) == ("delivered", "delivered")
    one.disconnect()
    assert done == [event]


@pytest.mark.parametrize("strangers", [False, True])
def test_a_program_that_always_sends_hears_of_every_message(
    quiet: Simulator, client: MakeClient, monkeypatch: pytest.MonkeyPatch, strangers: bool
) -> None:
    monkeypatch.setattr("relay_sync.client.messages.EARLY_LIMIT", 3)
    one = client()
    one.connect()

    def send() -> Background[Message]:
        return Background(lambda: one.send_message(to_number=TO, from_number=FROM, body="hi"))

    quiet.drop_reply("messaging.send")
    underway = send()
    quiet.journal.wait_for(lambda entry: bool(quiet.journal.requests("messaging.send")), PATIENCE)
    for number in range(2, 8):
        quiet.hold("messaging.send")
        following = send()
        quiet.wait_for_held("messaging.send")
        if strangers:
            state(quiet, f"s{number}", "delivered")
        state(quiet, f"m{number}", "delivered")
        quiet.wait_for_acks()
        quiet.release("messaging.send")
        following.result().wait(PATIENCE)
    assert underway.running
    one.disconnect()
    with pytest.raises(ClientClosed):
        underway.result()


def test_states_of_strangers_are_not_kept(quiet: Simulator, client: MakeClient) -> None:
    one = client()
    one.connect()
    state(quiet, "m1", "delivered")  # before anything was sent: it cannot be ours
    quiet.wait_for_acks()
    message = one.send_message(to_number=TO, from_number=FROM, body="hi")
    assert message.message_id == "m1"
    assert not message.is_done
    desk = one._router.messages
    assert not desk._early


def test_a_message_without_a_name_cannot_be_followed(quiet: Simulator, client: MakeClient) -> None:
    quiet._platform.handlers = {**quiet._platform.handlers, "messaging.send": lambda request: request.accept()}
    one = client()
    done: list[RelayEvent] = []
    message = one.send_message(to_number=TO, from_number=FROM, body="hi", on_completed=done.append)
    assert message.is_done
    with pytest.raises(MessageNotFollowed, match="accepted the message without an ID"):
        message.wait()
    one.disconnect()
    assert done == [message.result]


def test_a_refused_message(quiet: Simulator, client: MakeClient) -> None:
    quiet.refuse("messaging.send", 402, "no money")
    done: list[RelayEvent] = []
    with pytest.raises(CommandRefused, match="no money"):
        client().send_message(to_number=TO, from_number=FROM, body="hi", on_completed=done.append)
    assert not done


def test_closing_ends_messages_that_are_on_their_way(quiet: Simulator, client: MakeClient) -> None:
    one = client()
    done: list[RelayEvent] = []
    message = one.send_message(to_number=TO, from_number=FROM, body="hi", on_completed=done.append)
    waiting = Background(message.wait, PATIENCE)
    one.disconnect()
    with pytest.raises(ClientClosed):
        waiting.result()
    assert isinstance(message.error, ClientClosed)
    assert message.result is not None
    assert (message.result.synthetic, message.result.reason) == (True, "client_closed")
    assert done == [message.result]


def test_a_lost_session_ends_messages_that_are_on_their_way(quiet: Simulator, client: MakeClient) -> None:
    one = client()
    message = one.send_message(to_number=TO, from_number=FROM, body="hi")
    waiting = Background(message.wait, PATIENCE)
    quiet.forget_sessions()
    quiet.cut()
    with pytest.raises(ConnectionLost):
        waiting.result()
    one.connect()
    other = one.send_message(to_number=TO, from_number=FROM, body="again")
    state(quiet, other.message_id, "delivered")
    assert other.wait(PATIENCE) is other.result


def test_a_resumed_session_goes_on_telling(quiet: Simulator, client: MakeClient) -> None:
    message = client().send_message(to_number=TO, from_number=FROM, body="hi")
    quiet.cut()
    quiet.wait_for_client()
    state(quiet, "m1", "delivered")
    assert message.wait(PATIENCE) is message.result


def test_a_listener_that_sends_blocks_nobody(quiet: Simulator, client: MakeClient) -> None:
    one = client()
    message = one.send_message(to_number=TO, from_number=FROM, body="hi")
    answers: queue.SimpleQueue[Message] = queue.SimpleQueue()
    message.on(lambda event: answers.put(one.send_message(to_number=TO, from_number=FROM, body="more")))
    state(quiet, "m1", "delivered")
    assert answers.get(timeout=PATIENCE).message_id == "m2"


@pytest.mark.parametrize(
    ("options", "parameter"),
    [
        ({"to_number": "", "body": "a"}, "to_number"),
        ({"from_number": None, "body": "a"}, "from_number"),
        ({}, "body"),
        ({"body": ""}, "body"),
        ({"media": ["https://a.example.test/1"] * 9}, "media"),
        ({"media": "https://a.example.test/1"}, "media"),
        ({"media": ["a.jpg"]}, "media"),
        ({"body": "a", "tags": []}, "tags"),
        ({"body": "a", "on_completed": 5}, "on_completed"),
        ({"body": "a", "extra": {"context": "c"}}, "extra"),
    ],
)
def test_what_cannot_be_sent(quiet: Simulator, client: MakeClient, options: Json, parameter: str) -> None:
    given: Json = {"to_number": TO, "from_number": FROM, **options}
    with pytest.raises(InvalidParameter) as caught:
        client().send_message(**given)
    assert caught.value.parameter == parameter
    assert quiet.journal.requests("messaging.send") == []


def test_a_message_made_by_hand() -> None:
    message = Message(message_id="m", body="secret word", state="queued", media=["a"])
    assert (message.body, message.media, message.tags, message.is_done) == ("secret word", ["a"], [], False)
    assert "m" in repr(message)
    assert "secret word" not in repr(message)


# -- inbound ------------------------------------------------------------------------------------------------------------


def test_inbound_messages(quiet: Simulator, client: MakeClient) -> None:
    one = client(contexts=["office"])
    arrived: queue.SimpleQueue[Message] = queue.SimpleQueue()

    @one.on_message
    def handle(message: Message) -> None:
        arrived.put(message)

    assert handle is not None
    one.connect()
    receive(quiet, "in1")
    receive(quiet, "in1")  # a repetition changes nothing
    receive(quiet, "in2", "again")
    first, second = sorted((arrived.get(timeout=PATIENCE) for _ in range(2)), key=lambda message: message.message_id)
    assert (first.message_id, first.body, first.from_number, first.to_number) == ("in1", "On my way", TO, FROM)
    assert (first.context, first.direction, first.state) == ("office", "inbound", "received")
    assert (first.media, first.tags, first.segments) == (["https://files.example.test/a.jpg"], ["vip"], 1)
    assert first.is_done
    assert first.wait(0) is first.result
    assert second.body == "again"
    one.disconnect()
    assert arrived.empty()


def test_at_most_16_messages_are_handled_at_once(quiet: Simulator, client: MakeClient) -> None:
    one = client()
    going_on: set[str] = set()
    most = 0
    lock = threading.Lock()
    full, leave = threading.Event(), threading.Event()
    handled: queue.SimpleQueue[str] = queue.SimpleQueue()

    @one.on_message
    def handle(message: Message) -> None:
        nonlocal most
        with lock:
            going_on.add(message.message_id)
            most = max(most, len(going_on))
            if len(going_on) == 16:
                full.set()
        leave.wait(PATIENCE)
        with lock:
            going_on.discard(message.message_id)
        handled.put(message.message_id)

    one.connect()
    wanted = {f"in{number}" for number in range(40)}
    for message_id in sorted(wanted):
        receive(quiet, message_id)
    assert full.wait(PATIENCE)
    # A handler that blocks holds up neither commands nor callbacks.
    sent = one.send_message(to_number=TO, from_number=FROM, body="hi")
    state(quiet, sent.message_id, "delivered")
    sent.wait(PATIENCE)
    leave.set()
    assert {handled.get(timeout=PATIENCE) for _ in wanted} == wanted
    assert most == 16


def test_a_handler_that_raises_hurts_nobody(
    quiet: Simulator, client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    raised: queue.SimpleQueue[BaseException] = queue.SimpleQueue()
    one = client(on_error=lambda error, call: raised.put(error))
    arrived: queue.SimpleQueue[str] = queue.SimpleQueue()

    @one.on_message
    def handle(message: Message) -> None:
        arrived.put(message.message_id)
        raise ZeroDivisionError(message.message_id)

    one.connect()
    for message_id in ("in1", "in2"):
        receive(quiet, message_id)
        assert arrived.get(timeout=PATIENCE) == message_id
        assert isinstance(raised.get(timeout=PATIENCE), ZeroDivisionError)
    assert "on_message handler" in caplog.text


def test_messages_and_tasks_without_a_handler_are_warned_of_once(
    quiet: Simulator, client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    one = client()
    one.connect()
    with caplog.at_level(logging.WARNING, "relay_sync"):
        for number in range(3):
            receive(quiet, f"in{number}")
            quiet.send_event("queuing.relay.tasks", {}, context="office", message=number)
        quiet.wait_for_acks()
        one.disconnect()
    text = [record.getMessage() for record in caplog.records if "no on_" in record.getMessage()]
    assert sorted(text) == [
        "inbound messages are dropped: no on_message handler is registered",
        "inbound tasks are dropped: no on_task handler is registered",
    ]


@pytest.mark.parametrize("register", ["on_message", "on_task"])
def test_coroutine_functions_are_refused(client: MakeClient, register: str) -> None:
    async def handle(message: Message) -> None:
        """Never runs."""

    with pytest.raises(InvalidParameter, match="remove async"):
        getattr(client(), register)(handle)
    with pytest.raises(InvalidParameter, match="remove async"):
        Message().on(handle)  # type: ignore[arg-type]


def test_tasks(quiet: Simulator, client: MakeClient) -> None:
    one = client(contexts=["office"])
    arrived: queue.SimpleQueue[TaskEvent] = queue.SimpleQueue()
    one.on_task(arrived.put)
    one.connect()
    job = {"job": "call-back", "number": "+15550100044"}
    quiet.send_event("queuing.relay.tasks", {}, context="office", message=job, timestamp=1767225688)
    task = arrived.get(timeout=PATIENCE)
    assert (task.context, task.message, task.timestamp) == ("office", job, 1767225688.0)


# -- contexts and credentials --------------------------------------------------------------------------------------------


def test_contexts_at_run_time_survive_a_reconnection(sim: Simulator, client: MakeClient) -> None:
    one = client(contexts=["default"])
    one.connect()
    one.receive(["office", "sales"])
    one.unreceive(["default"])
    assert one.contexts == ["office", "sales"]
    (received,) = sim.journal.requests("signalwire.receive")
    (unreceived,) = sim.journal.requests("signalwire.unreceive")
    assert received["params"] == {"contexts": ["office", "sales"]}
    assert unreceived["params"] == {"contexts": ["default"]}
    sim.cut()
    sim.wait_for_client()
    assert sim.journal.requests("signalwire.connect")[-1]["params"]["contexts"] == ["office", "sales"]
    one.disconnect()
    one.connect()
    assert sim.journal.requests("signalwire.connect")[-1]["params"]["contexts"] == ["office", "sales"]


def test_refused_contexts_change_nothing(sim: Simulator, client: MakeClient) -> None:
    one = client(contexts=["default"])
    one.connect()
    sim.refuse("signalwire.receive", 402, "not paid for")
    with pytest.raises(CommandRefused, match="not paid for"):
        one.receive(["office"])
    sim.fail("signalwire.unreceive", -32001, "not on 4.0")
    with pytest.raises(CommandRefused, match=r"not on 4\.0"):
        one.unreceive(["default"])
    assert one.contexts == ["default"]


@pytest.mark.parametrize("contexts", [[], "office", [""], None, [5]])
def test_what_are_no_contexts(client: MakeClient, contexts: Any) -> None:
    for change in (client().receive, client().unreceive):
        with pytest.raises(InvalidParameter, match="contexts"):
            change(contexts)


def _renew_jwt(sim: Simulator) -> None:
    """Accept the new token, and the old one no longer."""
    project = sim.credentials["project"]
    sim.add_project(project, jwt_token="new.jwt.word")
    sim.remove_project(project, jwt_token="old.jwt.word")


def test_a_newer_jwt_is_shown_and_used_from_then_on(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Simulator(jwt_token="old.jwt.word") as sim, RelayClient(jwt_token="old.jwt.word", host=sim.url) as one:
        _renew_jwt(sim)
        one.reauthenticate("new.jwt.word")
        (shown,) = sim.journal.requests("signalwire.reauthenticate")
        assert shown["params"] == {"authentication": {"jwt_token": "new.jwt.word"}}
        sim.cut()
        sim.wait_for_client()
        sent = sim.journal.requests("signalwire.connect")[-1]["params"]["authentication"]
        assert sent == {"jwt_token": "new.jwt.word"}
        with pytest.raises(AuthenticationError) as caught:
            one.reauthenticate("wrong.jwt.word")
        assert "wrong.jwt.word" not in str(caught.value)
        one.disconnect()
        one.connect()
        assert one.state == "connected"
    assert "jwt.word" not in caplog.text


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("given_up", [False, True])
def test_a_jwt_that_expired_while_there_was_no_connection_can_be_replaced(given_up: bool) -> None:
    with Simulator(jwt_token="old.jwt.word") as sim, RelayClient(jwt_token="old.jwt.word", host=sim.url) as one:
        if not given_up:
            sim.refuse_connections()
        _renew_jwt(sim)
        sim.forget_sessions()
        sim.cut()
        wanted = "failed" if given_up else "reconnecting"
        end = time.monotonic() + 5 * PATIENCE
        while one.state != wanted:
            assert time.monotonic() < end
            time.sleep(0.01)
        renewing = Background(one.reauthenticate, "new.jwt.word")
        while one.jwt_token != "new.jwt.word":
            assert time.monotonic() < end
            time.sleep(0.01)
        sim.refuse_connections(False)
        renewing.result()
        assert one.state == "connected"
        one.execute("signalwire.ping")


@pytest.mark.parametrize(
    ("code", "kind"),
    [(-32401, AuthenticationError), (401.0, AuthenticationError), (-1, AuthenticationError), (-32603, CommandRefused)],
)
def test_a_newer_token_is_refused_with_any_code_but_those_of_a_server_in_trouble(
    code: Any, kind: type[Exception]
) -> None:
    with Simulator(jwt_token="old.jwt.word") as sim, RelayClient(jwt_token="old.jwt.word", host=sim.url) as one:
        sim.fail("signalwire.reauthenticate", code, "go away")
        with pytest.raises(CommandRefused, match="go away") as caught:
            one.reauthenticate("new.jwt.word")
        assert type(caught.value) is kind
        assert one.jwt_token == "old.jwt.word"


def test_a_newer_jwt_counts_when_its_reply_comes_though_its_caller_gave_up() -> None:
    with Simulator(jwt_token="old.jwt.word") as sim, RelayClient(jwt_token="old.jwt.word", host=sim.url) as one:
        _renew_jwt(sim)
        sim.hold("signalwire.reauthenticate", times=1)
        with pytest.raises(RequestTimeout), one.timeout(0.02):
            one.reauthenticate("new.jwt.word")
        assert one.jwt_token == "old.jwt.word"
        sim.release()
        one.execute("signalwire.ping", {"payload": "a fence"})
        assert one.jwt_token == "new.jwt.word"
        assert one._link.loop is not None
        assert one._link.loop.session.options.authentication == {"jwt_token": "new.jwt.word"}


def test_reauthenticate_is_for_clients_with_a_jwt(client: MakeClient) -> None:
    with pytest.raises(InvalidParameter, match="created with a JWT") as caught:
        client().reauthenticate("new.jwt.word")
    assert "new.jwt.word" not in str(caught.value)
    unconnected = RelayClient(jwt_token="old.jwt.word")
    with pytest.raises(InvalidParameter) as blank:
        unconnected.reauthenticate("new jwt")
    assert "new jwt" not in str(blank.value)


def test_what_was_told_before_the_session_ended_counts() -> None:
    desk = MessageDesk()
    told = MessageStateEvent.from_params({"message_id": "m", "message_state": "delivered"})
    known, unknown = Message(message_id="m"), Message(message_id="n")
    with desk.sending():
        desk.on_event(told, lambda *args, **kwargs: None)
        desk.end(ClientClosed("closed"), 1)
        desk.claim(known, 1)
        desk.claim(unknown, 1)
    assert known.wait(0) is told
    assert (known.state, known.error) == ("delivered", None)
    with pytest.raises(ClientClosed):
        unknown.wait(0)


def test_messages_whose_fate_is_never_told_do_not_pile_up(caplog: pytest.LogCaptureFixture) -> None:
    """Some carriers never report: the oldest make room, and whoever waits for one of them is told."""
    desk = MessageDesk()
    made = [Message(message_id=f"m{number}", state="sent") for number in range(10_002)]
    completed: list[RelayEvent] = []
    made[0]._run = lambda lane, what, function, *args, **kwargs: function(*args)
    made[0]._on_completed = InContext(completed.append)
    with desk.sending():
        for message in made[:10_000]:
            desk.claim(message, 1)
        assert not made[0].is_done
        waiting = Background(made[0].wait)
        for message in made[10_000:]:
            desk.claim(message, 1)
    with pytest.raises(
        MessageNotFollowed, match="m0 is no longer followed: 10000 later messages are in progress"
    ) as raised:
        waiting.result()
    assert raised.value.message_id == "m0"
    (event,) = completed
    assert isinstance(event, MessageStateEvent)
    assert (event.synthetic, event.message_state) == (True, "sent")
    assert [message.is_done for message in (*made[:3], made[-1])] == [True, True, False, False]
    # Those that stayed are followed as ever, and the others' late news hurts nobody.
    for name in ("m0", "m2", "m10001"):
        told = MessageStateEvent.from_params({"message_id": name, "message_state": "delivered"})
        desk.on_event(told, lambda *args, **kwargs: None)
    assert [message.state for message in (made[0], made[2], made[-1])] == ["sent", "delivered", "delivered"]
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1


def test_messages_that_end_make_room() -> None:
    desk = MessageDesk()
    first = Message(message_id="first")
    with desk.sending():
        desk.claim(first, 1)
        for number in range(20_000):
            desk.claim(Message(message_id=f"m{number}"), 1)
            told = MessageStateEvent.from_params({"message_id": f"m{number}", "message_state": "delivered"})
            desk.on_event(told, lambda *args, **kwargs: None)
    assert not first.is_done


def test_a_session_that_ends_while_overdue_messages_are_looked_at_ends_each_once() -> None:
    desk = MessageDesk()
    first, second = (Message(message_id=name, state="queued") for name in ("m1", "m2"))
    over = ConnectionLost("another session came back")

    def run(lane: object, *rest: Any, **options: Any) -> None:
        desk.end(over, 1)  # another thread does, at this moment

    first._run, first._on_completed = run, InContext(print)
    for message in (first, second):
        desk.claim(message, 1)
    desk.resumed(0.0)
    desk.on_watch(NEWS_PATIENCE)
    assert (second.error, len(desk._doubtful)) == (over, 0)
    assert first.error is not None
    assert "no event has arrived" in first.error.message
