"""The hooks of gunicorn, in this process: how much time live calls get, and what happens where there are no threads."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from relay_sync import RelayClient, receivers
from relay_sync.audio import AudioServer
from relay_sync.contrib import gunicorn, hosting
from relay_sync.simulator import Simulator
from relay_sync.threads.living import Living
from tests.support.background import no_threads, until

MakeClient = Callable[..., RelayClient]
GRACE = 0.5
REQUEST = 0.1


class Application:
    """Notes what it is given."""

    def __init__(self) -> None:
        self.drains: list[float] = []

    def start(self) -> None:
        """Takes no calls."""

    def stop(self, drain: float) -> None:
        self.drains.append(drain)


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch) -> Application:
    found = Application()
    # The hooks start and stop all there are: here this one, whatever other tests have left.
    monkeypatch.setattr(hosting, "_hosted", {found})
    return found


class Worker:
    """What the hooks use of one."""

    def __init__(self) -> None:
        self.cfg = SimpleNamespace(graceful_timeout=GRACE, timeout=30, preload_app=False)
        self.alive = True
        self.heartbeats = 0
        self.told: list[str] = []
        self.log = SimpleNamespace(warning=lambda text, *values: self.told.append(text % values))

    def notify(self) -> None:
        self.heartbeats += 1


def test_calls_get_their_share_of_what_the_last_request_left(application: Application) -> None:
    worker = Worker()
    gunicorn.post_worker_init(worker)
    worker.alive = False
    time.sleep(REQUEST)  # the last request
    worker.alive = False  # once more, as by a second Ctrl-C: the time goes on
    gunicorn.worker_exit(None, worker)
    (drain,) = application.drains
    assert 0 <= drain <= 0.8 * (GRACE - REQUEST)
    assert isinstance(worker, Worker)
    assert not worker.alive


def test_where_nothing_is_left_calls_are_hung_up_at_once(application: Application) -> None:
    worker = Worker()
    gunicorn.post_worker_init(worker)
    worker.alive = False
    worker.cfg.graceful_timeout = 0.01
    time.sleep(0.02)
    gunicorn.worker_exit(None, worker)
    assert application.drains == [0.0]


def test_an_exiting_worker_sends_one_more_heartbeat(application: Application) -> None:
    worker = Worker()
    gunicorn.post_worker_init(worker)
    assert (worker.heartbeats, worker.told) == (0, [])
    worker.alive = False
    worker.alive = False
    assert worker.heartbeats == 1


@pytest.mark.parametrize(("timeout", "expected"), [(0.25, 0.8 * 0.25), (0, 0.8 * GRACE), (30, 0.8 * GRACE)])
def test_calls_get_no_more_than_gunicorn_leaves_the_worker(
    application: Application, timeout: float, expected: float
) -> None:
    """It kills an exiting worker after ``--timeout``, which 0 switches off."""
    worker = Worker()
    worker.cfg.timeout = timeout
    gunicorn.post_worker_init(worker)
    gunicorn.worker_exit(None, worker)
    assert application.drains == [pytest.approx(expected)]
    assert [text.partition(":")[2] for text in worker.told] == (
        [" live calls get 0.2 s to end when a worker exits, because gunicorn kills a worker after --timeout 0.25, which is"
         " shorter than --graceful-timeout 0.5"] if timeout == 0.25 else []
    )  # fmt: skip


def test_the_log_goes_to_gunicorn_s_unless_the_program_has_configured_logging(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = logging.getLogger("relay_sync")
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "propagate", False)
    level = logger.level
    worker = Worker()
    theirs = worker.log.error_log = logging.Logger("gunicorn.error", logging.INFO)
    theirs.addHandler(logging.NullHandler())
    try:
        logger.setLevel(logging.NOTSET)
        for _ in range(2):
            gunicorn.post_worker_init(worker)
            assert (logger.handlers, logger.level) == (theirs.handlers, logging.INFO)
        logger.handlers[:] = [own := logging.NullHandler()]
        logger.setLevel(logging.ERROR)
        gunicorn.post_worker_init(worker)
        assert (logger.handlers, logger.level) == ([own], logging.ERROR)
    finally:
        logger.setLevel(level)


def test_each_worker_has_its_own_time(application: Application) -> None:
    first, second = Worker(), Worker()
    gunicorn.post_worker_init(first)
    first.alive = False
    gunicorn.post_worker_init(second)
    gunicorn.worker_exit(None, second)
    assert application.drains == [0.8 * GRACE]


# -- packages that the gevent worker needs -----------------------------------------------------------------------------


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with gevent, and without the package that gunicorn's worker for it needs."""
    monkeypatch.setitem(sys.modules, "packaging", None)
    monkeypatch.setitem(sys.modules, "gevent", ModuleType("gevent"))  # it has no spec, as one that was put there
    monkeypatch.setattr(sys, "argv", ["gunicorn", "--worker-class", "gthread", "app:app"])
    monkeypatch.delenv("GUNICORN_CMD_ARGS", raising=False)
    monkeypatch.delitem(sys.modules, "__config__", raising=False)


def told(capsys: pytest.CaptureFixture[str]) -> bool:
    gunicorn._report_missing_packaging()
    out, err = capsys.readouterr()
    assert (out, err) in {("", ""), ("", gunicorn.LACKS_PACKAGING)}
    return bool(err)


def configured(patch: pytest.MonkeyPatch, path: Path, text: str) -> None:
    """The file that gunicorn is just reading."""
    path.write_text(text, encoding="utf-8")
    config = ModuleType("__config__")
    config.__file__ = str(path)
    patch.setitem(sys.modules, "__config__", config)


@pytest.mark.usefixtures("lacking")
def test_other_workers_need_no_packaging(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert not told(capsys)
    configured(monkeypatch, tmp_path / "hooks.py", "worker_class = 'gthread'\n")
    assert not told(capsys)
    configured(monkeypatch, tmp_path / "hooks.py", "worker_class = 'gevent'\n")
    (tmp_path / "hooks.py").unlink()
    assert not told(capsys)


@pytest.mark.usefixtures("lacking")
def test_the_gevent_worker_does_wherever_it_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with monkeypatch.context() as patch:
        configured(patch, tmp_path / "hooks.py", "worker_class = 'gevent'\n")
        assert told(capsys)
    with monkeypatch.context() as patch:
        patch.setenv("GUNICORN_CMD_ARGS", "-k gevent")
        assert told(capsys)
    monkeypatch.setattr(sys, "argv", ["gunicorn", "-kgevent", "app:app"])
    assert told(capsys)
    monkeypatch.setitem(sys.modules, "packaging", ModuleType("packaging"))
    assert not told(capsys)


def test_a_start_without_a_thread_does_not_spoil_the_next(sim: Simulator, client: MakeClient) -> None:
    one = client()
    hosted = hosting.Hosted(lambda: one)
    with no_threads("relay-start"), pytest.raises(RuntimeError, match="new thread"):
        hosted.start()
    hosted.start()
    sim.wait_for_client()
    hosted.stop(0)
    assert one.state == "closed"


def test_a_worker_whose_port_is_taken_takes_no_calls_until_it_is_free(
    sim: Simulator, client: MakeClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hosting, "RETRY_AFTER", 0.01)
    monkeypatch.setattr(receivers, "_servers", Living())
    hosted = hosting.Hosted(client)
    with AudioServer() as other:
        port = other.port
        audio = AudioServer(port=port)
        hosted.start()
        until(lambda: "receives no calls yet: its AudioServer cannot start" in caplog.text)
        assert "range(" in caplog.text
        assert sim.clients == 0
    sim.wait_for_client()
    with audio:
        assert audio.port == port
    hosted.stop(0)


def test_all_clients_end_where_there_is_no_thread_for_each(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    another = Application()
    monkeypatch.setattr(hosting, "_hosted", {application, another})
    with no_threads("relay-stop"):
        hosting.stop_all(60)
    assert [59 < each.drains[0] <= 60 for each in (application, another)] == [True, True]
