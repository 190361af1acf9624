"""Logging handlers are user code: they block, raise and use the client, and nobody but the log is held up by that."""

from __future__ import annotations

import ast
import contextvars
import gc
import logging
import logging.config
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from relay_sync import AuthenticationError, Call, RelayClient
from relay_sync.audio import AudioServer
from relay_sync.simulator import Simulator
from relay_sync.text.secrecy import HIDDEN, Secrets, keep
from relay_sync.threads import logs
from tests.support import PATIENCE
from tests.support.background import Background, no_threads
from tests.support.forks import in_child
from tests.support.interrupts import interrupt, where_signals_are_seen
from tests.support.lines import FROM, TO, Line, line
from tests.support.modules import MODULES, name_of, tree

LOGGER = logging.getLogger("relay_sync")
LOG = logs.get("relay_sync")


class Handler(logging.Handler):
    """Does something with each record, and keeps them."""

    def __init__(self, does: Callable[[logging.LogRecord], object] = lambda record: None) -> None:
        super().__init__(logging.DEBUG)
        self.does = does
        self.records: list[logging.LogRecord] = []
        self.came = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.came.set()
        self.does(record)

    @property
    def texts(self) -> list[str]:
        assert logs.flush(PATIENCE)
        return [record.getMessage() for record in self.records]


@contextmanager
def handling(does: Callable[[logging.LogRecord], object] = lambda record: None) -> Iterator[Handler]:
    handler = Handler(does)
    level = LOGGER.level
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    try:
        yield handler
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(level)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Handlers that block wait for it; afterwards nothing waits to be written any more."""
    event = threading.Event()
    yield event
    event.set()
    assert logs.flush(PATIENCE)


def says(*words: str) -> None:
    """Said by a thread that others wait for."""
    with logs.shared():
        for word in words:
            LOG.warning("%s", word)


def make_the_connection_s_thread_say(one: Line, what: str = "something") -> None:
    assert one.client._link.loop is not None
    one.client._link.loop.change(lambda session: LOG.warning(what))


def test_a_handler_may_use_the_client(sim: Simulator) -> None:
    """The connection's thread has a line for the same handler, whose lock is taken by whoever waits for that thread."""
    with line(sim) as one:

        def alarm(record: logging.LogRecord) -> None:
            if record.getMessage() == "no dial tone":
                make_the_connection_s_thread_say(one)
                one.client.execute("signalwire.ping", {})
                sent.append(True)

        sent: list[bool] = []
        with handling(alarm) as handler:
            LOGGER.error("no dial tone")
            assert handler.texts == ["no dial tone", "something"]
        assert sent == [True]


def test_a_handler_s_constructor_may_use_the_client(sim: Simulator) -> None:
    """``dictConfig`` makes handlers under the lock of logging itself, with which loggers look up their levels."""
    with line(sim) as one:
        done: list[bool] = []

        def make() -> logging.Handler:
            LOGGER.setLevel(logging.INFO)  # forgets what loggers know of their levels
            make_the_connection_s_thread_say(one)
            one.client.execute("signalwire.ping", {})
            done.append(True)
            return logging.NullHandler()

        logging.config.dictConfig(
            {"version": 1, "disable_existing_loggers": False, "incremental": False, "handlers": {"one": {"()": make}}}
        )
        LOGGER.setLevel(logging.NOTSET)
        assert done == [True]


@pytest.mark.parametrize("error", [OSError, SystemExit])
def test_a_handler_that_raises_keeps_nothing_from_happening(
    sim: Simulator, soon: None, error: type[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(record: logging.LogRecord) -> None:
        if record.threadName != "MainThread":
            raise error("the collector is down")

    with handling(fails) as handler:
        client = RelayClient(**sim.credentials, contexts=["default"])
        running = Background(client.run)
        sim.wait_for_client(timeout=PATIENCE)
        sim.fail("signalwire.connect", -32002, "authentication failed: 401", times=None)
        sim.cut()
        with pytest.raises(AuthenticationError):
            running.result()
        assert client.state == "failed"
        assert any("permanently lost" in text for text in handler.texts)
    assert "the collector is down" in capsys.readouterr().err


def test_filters_and_factories_that_raise_are_no_better(capsys: pytest.CaptureFixture[str]) -> None:
    def fails(*args: Any, **options: Any) -> Any:
        raise ValueError("no such thing")

    with handling() as handler:
        handler.addFilter(fails)
        says("by a thread of ours")
        LOG.warning("by the user's")
        handler.removeFilter(fails)
        factory = logging.getLogRecordFactory()
        logging.setLogRecordFactory(fails)
        try:
            says("by a thread of ours")
            LOG.warning("by the user's")
            assert logs.flush(PATIENCE)
        finally:
            logging.setLogRecordFactory(factory)
        LOG.warning("%d", "a number")  # neither do ours that are wrong
        says("still here")
        assert handler.records[-1].getMessage() == "still here"
    assert capsys.readouterr().err.count("ValueError: no such thing") == 4


def test_a_handler_that_blocks_holds_up_the_log_alone(sim: Simulator, gate: threading.Event) -> None:
    def blocks(record: logging.LogRecord) -> None:
        if record.threadName != "MainThread":
            gate.wait(60)

    with handling(blocks) as handler, line(sim) as one:
        make_the_connection_s_thread_say(one)
        assert handler.came.wait(PATIENCE)
        begun = time.monotonic()
        for _ in range(20):
            make_the_connection_s_thread_say(one)
            one.client.execute("signalwire.ping", {})
            one.client.connect()
        one.phone.hang_up()
        one.call.wait_for_ended(PATIENCE)
        one.desk.closing.set()
        one.client.disconnect()
        assert time.monotonic() - begun < 2.0
        gate.set()
        assert handler.texts.count("something") == 21


def test_a_receiver_goes_on_while_a_handler_blocks(sim: Simulator, gate: threading.Event) -> None:
    def blocks(record: logging.LogRecord) -> None:
        if str(record.threadName).startswith("relay-audio"):
            gate.wait(60)

    with handling(blocks) as handler, AudioServer() as audio:
        with socket.create_connection(("127.0.0.1", audio.port), PATIENCE) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert stranger.recv(64).startswith(b"HTTP/1.1 ")
        with line(sim) as one, audio.listen(one.call) as stream:
            assert stream.sample_rate == 8000
            assert any("a plain HTTP request" in record.getMessage() for record in handler.records)
        gate.set()


def test_a_call_is_hung_up_and_an_end_comes_while_a_handler_blocks(sim: Simulator, gate: threading.Event) -> None:
    """What a callback raised is told, and what becomes of its call does not wait for that."""

    def fails(call: Call) -> None:
        call.answer()
        raise OSError("a mistake")

    with handling(lambda record: gate.wait(60)), RelayClient(**sim.credentials, contexts=["default"]) as client:
        client.on_call(fails)
        says("first")
        phones = [sim.call(to=TO, from_=FROM) for _ in range(2)]
        for phone in phones:
            phone.wait_until("ended", PATIENCE)
        assert client.drain(PATIENCE)
        begun = time.monotonic()
        client.disconnect()
        assert time.monotonic() - begun < 1.0
        gate.set()


def test_filters_see_the_context_in_which_a_line_was_said(gate: threading.Event) -> None:
    """Such as the id of a request."""
    request: contextvars.ContextVar[str] = contextvars.ContextVar("request", default="none")
    with handling(lambda record: seen.append(request.get())) as handler:
        seen: list[str] = []

        def said(number: str) -> None:
            request.set(number)
            says("something")

        for number in ("1", "2"):
            contextvars.copy_context().run(said, number)
        assert handler.texts == ["something"] * 2
        assert seen == ["1", "2"]


def test_order_is_kept_and_what_is_too_much_is_counted(monkeypatch: pytest.MonkeyPatch, gate: threading.Event) -> None:
    monkeypatch.setattr(logs, "MOST_WAITING", 5)
    with handling(lambda record: gate.wait(60)) as handler:
        says("first")
        assert handler.came.wait(PATIENCE)
        says(*"123456789")
        gate.set()
        assert logs.flush(PATIENCE)
        assert handler.texts == ["first", *"12345", "dropped 4 log records: the logging handlers are too slow"]


def test_a_record_is_what_users_expect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes it: of the thread, the time and the place at which it was said."""

    def in_a_thread_of_ours() -> tuple[float, float]:
        with logs.shared():
            begun = time.time()
            try:
                raise OSError("broken")
            except OSError:
                LOG.exception("call %s broke", "c-1", extra={"call_id": "c-1"})
            return begun, time.time()

    class Own(logging.LogRecord):
        pass

    for factory in (logging.LogRecord, Own):
        monkeypatch.setattr(logging, "_logRecordFactory", factory)
        with handling() as handler:
            begun, ended = Background(in_a_thread_of_ours).result()
            assert handler.texts == ["call c-1 broke"]
        (record,) = handler.records
        assert type(record) is factory
        assert (record.msg, record.args, record.levelname) == ("call %s broke", ("c-1",), "ERROR")
        assert record.__dict__["call_id"] == "c-1"
        assert (record.funcName, record.filename) == ("in_a_thread_of_ours", "test_logs.py")
        assert begun <= record.created <= ended
        assert record.threadName != threading.current_thread().name
        assert not str(record.threadName).startswith("relay-log")
        assert record.exc_info is not None
        assert isinstance(record.exc_info[1], OSError)
        assert not [thread for thread in threading.enumerate() if thread.name == "relay-log"]


def test_what_a_user_s_thread_says_is_written_at_once() -> None:
    with handling(lambda record: writers.append(threading.current_thread())):
        writers: list[threading.Thread] = []
        LOG.warning("here")
        assert writers == [threading.current_thread()]
        LOG.later.warning("said under a lock")
        assert logs.flush(PATIENCE)
        assert [thread.name for thread in writers] == [threading.current_thread().name, "relay-log"]


def test_no_line_is_made_that_nobody_wants() -> None:
    class Loud:
        def __str__(self) -> str:
            raise AssertionError("formatted")

    with handling() as handler:
        LOG.debug("%s", Loud())
        LOGGER.disabled = True
        LOG.error("%s", Loud())
        LOGGER.disabled = False
        logging.disable(logging.CRITICAL)
        LOG.error("%s", Loud())
        logging.disable(logging.NOTSET)
        assert handler.texts == []


def test_a_secret_is_hidden_whose_client_has_gone_by_the_time_it_is_written(gate: threading.Event) -> None:
    secrets = keep(Secrets("hunter2-and-more"))
    with handling(lambda record: gate.wait(60)) as handler:
        says("first")
        assert handler.came.wait(PATIENCE)
        with logs.shared():
            try:
                raise OSError("refused: hunter2-and-more")
            except OSError:
                LOG.exception("it was hunter2-and-more")
        del secrets
        gc.collect()
        gate.set()
        assert handler.texts[-1] == f"it was {HIDDEN}"
        assert handler.records[-1].exc_text is not None
        assert "hunter2" not in handler.records[-1].exc_text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks as POSIX has them")
def test_a_child_writes_none_of_the_parent_s_lines(gate: threading.Event) -> None:
    with handling(lambda record: gate.wait(60)) as handler:
        says("first")
        assert handler.came.wait(PATIENCE)
        says("the parent's")

        def check() -> None:
            handler.createLock()  # that of the parent is taken by a thread that the child does not have
            gate.set()
            says("the child's")
            assert handler.texts == ["first", "the child's"]

        in_child(check)
        gate.set()
        assert handler.texts == ["first", "the parent's"]


def test_ctrl_c_anywhere_leaves_a_log_that_writes() -> None:
    with handling() as handler:
        step = 0
        while interrupt(step := step + 1, lambda: LOG.later.warning("interrupted"), where_signals_are_seen):
            says("and on")
            assert handler.texts[-1] == "and on"
        assert step > 20


def test_without_a_thread_lines_wait_for_the_next_flush() -> None:
    with handling() as handler, no_threads():
        says("first", "second")
        assert handler.records == []
        assert handler.texts == ["first", "second"]


#: Who talks of loggers without saying anything to them.
SETS_UP = {
    "cli/log_lines.py": "shows what is said in the display of a command",
    "cli/run.py": "shows it on stderr",
    "contrib/gunicorn.py": "shows it in gunicorn's log",
    "connection/transport.py": "keeps websocket-client's secrets out of the log",
    "server/library.py": "quietens websockets",
    "text/secrecy.py": "hides secrets",
    "threads/logs.py": "says everything",
}


@pytest.mark.static
def test_everything_is_said_by_way_of_logs() -> None:
    found = set()
    for path in MODULES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Attribute) and ast.unparse(node) in ("logging.getLogger", "logging.Logger"):
                found.add(name_of(path))
    assert found == set(SETS_UP)
