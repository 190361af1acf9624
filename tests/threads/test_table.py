"""Tables that threads share: whole operations, each under the lock; and steps of which none keeps the others from being taken."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from relay_sync.threads.safety_net import Net
from relay_sync.threads.table import Recent, Table

TABLES: list[Callable[[], Table[str, Any]]] = [Table, lambda: Recent(10)]


class KnownLock:
    """Stands in for the lock of a table.

    :ivar taken: how often it was taken.
    """

    def __init__(self) -> None:
        self._lock: Any = threading.RLock()
        self.taken = 0

    @property
    def held(self) -> bool:
        """Whether the thread that asks holds it."""
        return bool(self._lock._is_owned())

    def __enter__(self) -> None:
        self._lock.acquire()
        self.taken += 1

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class GuardedDict(dict[Any, Any]):
    """A dictionary that fails when it is touched without its lock."""

    def __init__(self, lock: KnownLock, entries: Any = ()) -> None:
        super().__init__(entries)
        self.lock = lock


def _guarded(name: str) -> Callable[..., Any]:
    def method(self: GuardedDict, *args: Any) -> Any:
        assert self.lock.held, f"{name} without the lock"
        return getattr(dict, name)(self, *args)

    return method


for _name in (
    *("__contains__", "__delitem__", "__getitem__", "__iter__", "__len__", "__setitem__"),
    *("clear", "copy", "get", "items", "keys", "pop", "popitem", "setdefault", "update", "values"),
):
    setattr(GuardedDict, _name, _guarded(_name))


def guarded(table: Table[Any, Any]) -> KnownLock:
    """Have a table fail where it touches its entries without its lock."""
    lock = KnownLock()
    vars(table).update(_lock=lock, _entries=GuardedDict(lock, table.items()))
    return lock


@pytest.mark.parametrize("make", TABLES)
def test_what_was_put_in_is_there_until_it_is_taken(make: Callable[[], Table[str, Any]]) -> None:
    table = make()
    assert table.put("a", 1) is None
    assert table.put("b", 2) is None
    assert (table.get("a"), table.get("c"), "a" in table, "c" in table, len(table)) == (1, None, True, False, 2)
    assert table.put("a", 3) == 1
    assert sorted(table.snapshot()) == [2, 3]
    assert sorted(table.items()) == [("a", 3), ("b", 2)]
    assert (table.take("a"), table.take("a")) == (3, None)
    assert (table.take_all(), table.take_all(), len(table)) == ([2], [], 0)


@pytest.mark.parametrize("make", TABLES)
def test_what_is_there_stays(make: Callable[[], Table[str, Any]]) -> None:
    table = make()
    assert table.put_if_new("a", None)
    assert not table.put_if_new("a", None)
    assert not table.put_if_new("a", 2)
    assert table.items() == [("a", None)]


@pytest.mark.parametrize("make", TABLES)
def test_only_the_very_one_is_taken(make: Callable[[], Table[str, Any]]) -> None:
    table, value = make(), [1]
    table.put("a", value)
    assert not table.take_if("a", [1])
    assert not table.take_if("b", value)
    assert table.get("a") is value
    assert table.take_if("a", value)
    assert not table.take_if("a", value)
    assert "a" not in table


def test_what_is_walked_is_a_copy() -> None:
    table: Table[str, int] = Table()
    table.put("a", 1)
    values, items = table.snapshot(), table.items()
    table.put("b", 2)
    assert (values, items) == ([1], [("a", 1)])


def test_the_oldest_goes() -> None:
    recent: Recent[str, int] = Recent(2)
    assert recent.put("a", 1) is None
    assert recent.put("b", 2) is None
    assert recent.put("c", 3) == 1
    assert recent.items() == [("b", 2), ("c", 3)]
    assert recent.put_if_new("d", 4)
    assert recent.items() == [("c", 3), ("d", 4)]


def test_what_is_put_in_again_is_the_newest() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.put("a", 3) == 1
    assert recent.put("c", 4) == 2
    assert recent.items() == [("a", 3), ("c", 4)]


OPERATIONS: dict[str, Callable[[Table[str, Any]], object]] = {
    "get": lambda table: table.get("a"),
    "put": lambda table: table.put("a", 2),
    "put_if_new": lambda table: table.put_if_new("b", 2),
    "take": lambda table: table.take("a"),
    "take_if": lambda table: table.take_if("a", 1),
    "take_all": lambda table: table.take_all(),
    "snapshot": lambda table: table.snapshot(),
    "items": lambda table: table.items(),
    "len": len,
    "in": lambda table: "a" in table,
}


#: One operation of a dictionary each, which changes nothing: no lock is taken, but where put() is two.
READS = ("get", "len", "in")


@pytest.mark.parametrize(
    ("most", "name"), [(most, name) for most in (0, 1, 10) for name in OPERATIONS if most or name not in READS]
)
def test_each_operation_is_one_step_under_the_lock(most: int, name: str) -> None:
    table: Table[str, Any] = Recent(most) if most else Table()
    table.put("a", 1)
    lock = guarded(table)
    OPERATIONS[name](table)
    assert lock.taken >= 1
    assert not lock.held


def test_every_operation_is_looked_at() -> None:
    public = {name for name in vars(Table) if not name.startswith("_")} | {"len", "in"}
    assert public == set(OPERATIONS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_signal_handler_on_top_of_an_operation_does_not_block(name: str) -> None:
    table: Table[str, Any] = Table()
    table.put("a", 1)
    done = threading.Event()

    def use() -> None:
        with table._lock:  # as the code under a signal handler would
            OPERATIONS[name](table)
        done.set()

    threading.Thread(target=use, name="test-signal", daemon=True).start()
    assert done.wait(5)


# -- nets -----------------------------------------------------------------------------------------------------------------------


def run(*errors: BaseException | None) -> tuple[list[int], Net]:
    """Take one step for each error, and raise it in it."""
    taken, net = [], Net()
    for number, error in enumerate(errors):
        with net:
            taken.append(number)
            if error is not None:
                raise error
    return taken, net


def test_steps_that_fail_keep_none_from_being_taken() -> None:
    taken, net = run(None, KeyError("one"), None)
    assert taken == [0, 1, 2]
    with pytest.raises(KeyError, match="one"):
        net.release()
    net.release()  # once


def test_several_failures_are_told_together() -> None:
    taken, net = run(KeyError("one"), None, OSError("two"))
    assert taken == [0, 1, 2]
    with pytest.raises(ExceptionGroup) as raised:
        net.release()
    assert [type(error) for error in raised.value.exceptions] == [KeyError, OSError]


def test_an_interrupt_goes_before_errors() -> None:
    taken, net = run(KeyError("one"), KeyboardInterrupt(), None)
    assert taken == [0, 1, 2]
    with pytest.raises(KeyboardInterrupt):
        net.release()


def test_no_failure_is_no_failure() -> None:
    taken, net = run(None, None)
    assert taken == [0, 1]
    net.release()
