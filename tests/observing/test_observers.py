"""Who is notified of what, in which order, by which thread; and what may not disturb the work."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, cast

import pytest
from attrs import frozen

from relay_sync import CallRecord, CommandRefused, InvalidParameter, Observer
from relay_sync.observing.lane import lane
from relay_sync.observing.observers import Observers
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.forks import in_child
from tests.support.interrupts import interrupt, where_signals_are_seen
from tests.support.observed import Happened, Leg, Notes, settled

THREAD = "relay-observers"


# -- the lane ----------------------------------------------------------------------------------------------------------


def test_notifications_come_in_order_on_one_thread(observers: Observers) -> None:
    notes = Notes()
    observers.add(notes)
    for number in range(500):
        observers.connection_changed(str(number), "x")
    settled(observers)
    assert notes.told == [(str(number), "x") for number in range(500)]
    assert notes.threads == {THREAD}


def test_what_no_observer_overrides_is_not_queued(observers: Observers) -> None:
    class Ended(Observer):
        def call_ended(self, record: CallRecord) -> None: ...

    observers.add(Ended())
    started = threading.active_count()
    observers.connection_changed("a", "b")
    observers.call_offered(Leg())
    observers.call_event(Leg(), Happened("calling.call.play"))
    assert threading.active_count() == started
    assert not any(thread.name == THREAD for thread in threading.enumerate())


def test_one_that_was_taken_off_is_not_called_any_more(observers: Observers) -> None:
    notes, held, other = Notes(), threading.Event(), threading.Event()

    class Holding(Observer):
        def connection_changed(self, old: str, new: str) -> None:
            other.set()
            held.wait(PATIENCE)

    observers.add(Holding())
    remove = observers.add(notes)
    observers.connection_changed("a", "b")
    assert other.wait(PATIENCE)
    observers.connection_changed("b", "c")
    remove()
    remove()
    held.set()
    observers.connection_changed("c", "d")
    settled(observers)
    assert notes.told == []


def test_the_thread_ends_with_the_last_observer_and_begins_anew(observers: Observers) -> None:
    notes = Notes()
    for turn in range(2):
        remove = observers.add(notes)
        observers.connection_changed("a", str(turn))
        settled(observers)
        remove()
        assert not any(thread.name == THREAD for thread in threading.enumerate())
    assert notes.told == [("a", "0"), ("a", "1")]


def test_closing_leaves_the_thread_to_others(observers: Observers) -> None:
    one, two, second = Notes(), Notes(), Observers()
    observers.add(one)
    second.add(two)
    observers.open()
    second.open()
    observers.connection_changed("a", "b")
    second.connection_changed("c", "d")
    second.close(PATIENCE)
    assert any(thread.name == THREAD for thread in threading.enumerate())
    observers.close(PATIENCE)
    assert not any(thread.name == THREAD for thread in threading.enumerate())
    assert (one.told, two.told) == ([("a", "b")], [("c", "d")])


def test_an_observer_may_close_what_it_observes(observers: Observers) -> None:
    done = threading.Event()

    class Closing(Observer):
        def connection_changed(self, old: str, new: str) -> None:
            observers.close(PATIENCE)
            done.set()

    observers.add(Closing())
    observers.connection_changed("a", "b")
    assert done.wait(PATIENCE)


def test_closing_is_bounded_and_says_what_is_left(observers: Observers, caplog: pytest.LogCaptureFixture) -> None:
    held, entered = threading.Event(), threading.Event()

    class Holding(Observer):
        def connection_changed(self, old: str, new: str) -> None:
            entered.set()
            held.wait(PATIENCE)

    observers.add(Holding())
    observers.connection_changed("a", "b")
    assert entered.wait(PATIENCE)
    observers.close(0.01)
    held.set()
    assert "observers are still running after 0.01 s" in caplog.text


def test_the_observer_shows_how_much_was_dropped(observers: Observers, monkeypatch: pytest.MonkeyPatch) -> None:
    @frozen
    class Frozen(Observer):
        def connection_changed(self, old: str, new: str) -> None: ...

    idle, busy = Notes(), Frozen()
    monkeypatch.setattr("relay_sync.observing.lane.lane._most", 0)
    observers.add(busy)
    for _ in range(3):
        observers.connection_changed("a", "b")
    assert busy.dropped == 3
    assert idle.dropped == 0


def test_closing_waits_for_nobody_elses_notifications(observers: Observers) -> None:
    """What is put after it does not keep it."""
    stop = threading.Event()
    busy = Observers()
    busy.add(Notes())
    observers.add(Notes())

    def noise() -> None:
        while not stop.is_set():
            busy.connection_changed("a", "b")

    noisy = Background(noise)
    observers.connection_changed("a", "b")
    closed = Background(observers.close, PATIENCE)
    closed.result()
    stop.set()
    noisy.result()
    busy.close(PATIENCE)


def test_context_variables_are_those_of_the_place_where_it_was_added(observers: Observers) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="")
    seen: list[str] = []

    class Looking(Observer):
        def connection_changed(self, old: str, new: str) -> None:
            seen.append(variable.get())
            variable.set("changed")

    variable.set("mine")
    observers.add(Looking())
    for _ in range(2):
        observers.connection_changed("a", "b")
    settled(observers)
    assert seen == ["mine", "mine"]


def test_a_child_starts_anew(observers: Observers) -> None:
    notes, held, entered = Notes(), threading.Event(), threading.Event()

    class Holding(Notes):
        def connection_changed(self, old: str, new: str) -> None:
            super().connection_changed(old, new)
            if old == "parent":
                entered.set()
                held.wait(PATIENCE)

    notes = Holding()
    observers.add(notes)
    observers.connection_changed("parent", "x")
    assert entered.wait(PATIENCE)
    observers.connection_changed("waits", "x")

    def child() -> None:
        observers.after_fork()
        observers.connection_changed("child", "x")
        settled(observers)
        assert [what for what, _ in notes.told] == ["parent", "child"]

    in_child(child)
    held.set()


# -- an observer that fails --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_one_that_raises_is_logged_once_and_disturbs_nobody(
    observers: Observers, caplog: pytest.LogCaptureFixture, error: BaseException, said_nothing: None
) -> None:
    class Raising(Observer):
        def connection_changed(self, old: str, new: str) -> None:
            raise error

    notes = Notes()
    observers.add(Raising())
    observers.add(notes)
    for _ in range(3):
        observers.connection_changed("a", "b")
    settled(observers)
    assert notes.told == [("a", "b")] * 3
    assert caplog.text.count("Raising.connection_changed raised") == 1


@pytest.fixture
def said_nothing() -> None:
    """Nothing has been said yet in this minute."""
    lane.warnings.forget()


class Around(Observer):
    """Does wrong what can be done wrong around some work."""

    def __init__(self, how: str, error: BaseException | None = None) -> None:
        self.how = how
        self.error = error or RuntimeError("mine")
        self.steps: list[Any] = []

    @contextmanager
    def around_handler(self, call: Any) -> Iterator[None]:
        if self.how == "before":
            raise self.error
        if self.how == "never":
            return
        self.steps.append("in")
        try:
            yield
        except BaseException as error:
            self.steps.append(error)
            if self.how == "swallow":
                return
            if self.how == "instead":
                raise self.error from error
            raise
        self.steps.append("out")
        if self.how == "after":
            raise self.error
        if self.how == "twice":
            yield


@pytest.mark.parametrize("how", ["well", "before", "never", "swallow", "instead", "after", "twice"])
@pytest.mark.parametrize("raised", [None, ValueError("work"), SystemExit(2), GeneratorExit(), StopIteration("work")])
def test_the_work_goes_on_and_its_exception_is_the_users(
    observers: Observers, how: str, raised: BaseException | None
) -> None:
    wrong, well = Around(how), Around("well")
    ran: list[Any] = []
    observers.add(wrong)
    observers.add(well)

    def work(call: Any) -> None:
        ran.append(call)
        if raised is not None:
            raise raised

    if raised is None:
        observers.handle(Leg(), work)
    else:
        with pytest.raises(type(raised)) as caught:
            observers.handle(Leg(), work)
        assert caught.value is raised
    assert ran == [Leg()]
    assert well.steps == ["in", "out" if raised is None else raised]
    assert all(step in ("in", "out") or step is raised for step in wrong.steps)


def test_a_child_can_warn_though_another_thread_was_just_warning(observers: Observers, said_nothing: None) -> None:
    held, entered = threading.Event(), threading.Event()
    ran: list[Any] = []

    def warn() -> None:
        with lane.warnings._lock:
            entered.set()
            held.wait(PATIENCE)

    def child() -> None:
        observers.after_fork()
        observers.handle(Leg(), ran.append)
        assert ran == [Leg()]

    observers.add(Around("before"))
    warning = Background(warn)
    assert entered.wait(PATIENCE)
    in_child(child)
    held.set()
    warning.result()


@pytest.mark.parametrize("how", ["before", "after"])
def test_what_is_meant_for_the_thread_is_passed_on(observers: Observers, how: str) -> None:
    """Ctrl-C comes wherever the main thread is, in an observer, too."""
    outer, interrupted = Around("well"), Around(how, KeyboardInterrupt())
    ran: list[Any] = []
    observers.add(outer)
    observers.add(interrupted)
    with pytest.raises(KeyboardInterrupt):
        observers.handle(Leg(), ran.append)
    assert ran == ([] if how == "before" else [Leg()])
    # Those that were entered are left. One that is left after another was interrupted learns of the work alone.
    assert outer.steps == ["in", interrupted.error if how == "before" else "out"]


def test_around_that_is_no_context_manager_is_logged(
    observers: Observers, caplog: pytest.LogCaptureFixture, said_nothing: None
) -> None:
    class Nothing(Observer):
        def around_handler(self, call: Any) -> AbstractContextManager[object]:
            return cast("AbstractContextManager[object]", None)

    ran: list[Any] = []
    observers.add(Nothing())
    observers.handle(Leg(), ran.append)
    assert ran == [Leg()]
    assert "Nothing.around_handler raised" in caplog.text


def test_a_command_is_surrounded_timed_and_told() -> None:
    class Watching(Observer):
        def __init__(self) -> None:
            self.steps: list[Any] = []

        @contextmanager
        def around_command(self, method: str, call: Any) -> Iterator[None]:
            self.steps.append(("begins", method, call, threading.current_thread()))
            yield
            self.steps.append("ends")

        def command_done(self, method: str, call_id: str, seconds: float, error: BaseException | None) -> None:
            self.steps.append((method, call_id, error, 0 <= seconds < PATIENCE))

    observers, watching, refused = Observers(), Watching(), CommandRefused(404, "no")
    observers.add(watching)
    with observers.command("calling.play", {}, "c1", Leg()):
        pass
    observers.close(PATIENCE)
    with pytest.raises(CommandRefused), observers.command("calling.end", {}, "c1", None):
        raise refused
    observers.close(PATIENCE)
    here = threading.current_thread()
    assert watching.steps == [
        ("begins", "calling.play", Leg(), here),
        "ends",
        ("calling.play", "c1", None, True),
        ("begins", "calling.end", None, here),
        ("calling.end", "c1", refused, True),
    ]


# -- what is refused ---------------------------------------------------------------------------------------------------


class Coroutine(Observer):
    async def call_ended(self, record: CallRecord) -> None:  # type: ignore[override]
        ...


class Generator(Observer):
    def around_command(self, method: str, call: Any) -> Iterator[None]:  # type: ignore[override]
        yield


def test_a_signal_handler_on_top_of_a_command_may_wait_for_who_notifies(observers: Observers) -> None:
    """The IO thread, for whose reply the handler's own command waits."""

    class Commands(Notes):
        def command_done(self, method: str, call_id: str, seconds: float, error: BaseException | None) -> None:
            self.note(method)

    observers.add(Commands())
    observers.open()
    observers.call_offered(Leg())
    steps = itertools.count(1)

    def command() -> None:
        with observers.command("calling.stream", {"control_id": "s1"}, "c1", Leg()):
            pass

    def handler() -> None:
        Background(observers.call_event, Leg(), Happened("calling.call.stream", {"control_id": "s1"})).result()

    while interrupt(next(steps), command, where_signals_are_seen, handler):
        settled(observers)  # so that the next one finds nothing that waits
    assert next(steps) > 10


@pytest.mark.parametrize(
    ("observer", "kept", "told"),
    [
        (Observer, (), "an instance"),
        (object(), (), "an instance"),
        (Coroutine(), (), "remove async"),
        (Generator(), (), "@contextmanager"),
        (Notes(), ("tokens",), "'urls'"),
        (Notes(), (None,), "'urls'"),
        (Notes(), "everything", "'urls'"),
    ],
)
def test_what_cannot_be_right_is_refused(observers: Observers, observer: Any, kept: Any, told: str) -> None:
    with pytest.raises(InvalidParameter, match=told):
        observers.add(observer, kept)
    assert observers.empty
