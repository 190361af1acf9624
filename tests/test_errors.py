"""The tree of exceptions: as its docstring draws it, told in words, and able to travel between processes."""

from __future__ import annotations

import ast
import copy
import pickle
import re
import threading
from typing import Any

import pytest

import relay_sync
from relay_sync import errors
from relay_sync.errors import (
    AuthenticationError,
    CallEnded,
    CommandRefused,
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    DialFailed,
    DownloadFailed,
    InvalidParameter,
    MessageNotFollowed,
    RelayError,
    WaitTimeout,
    WebhookRefused,
)
from tests.support.modules import MODULES, name_of, nodes, tree

LINE = re.compile(r"^( *)([A-Z]\w+) {2,}(?:\((\w+)\) )?")
BUILTIN: dict[str, type[Exception]] = {
    "ValueError": ValueError,
    "ConnectionError": ConnectionError,
    "TimeoutError": TimeoutError,
    "RuntimeError": RuntimeError,
}
SPECIAL: dict[str, RelayError] = {
    "RelayError": RelayError(404, "gone"),
    "CommandRefused": CommandRefused(400, "no", method="calling.stream", call_id="c"),
    "AuthenticationError": AuthenticationError(-32002, "no", method="signalwire.connect"),
    "InvalidParameter": InvalidParameter("codec", "MP3", "one of PCMU, PCMA"),
    "ConnectError": ConnectError("no such host", fatal=True),
    "ConnectTimeout": ConnectTimeout("not in time"),
    "ConnectionLost": ConnectionLost("gone", sent=True),
    "CallEnded": CallEnded("over", end_reason="busy"),
    "DialFailed": DialFailed("nobody", reason="busy"),
    "MessageNotFollowed": MessageNotFollowed("too many", message_id="m"),
    "WebhookRefused": WebhookRefused("no signature", status=403),
    "DownloadFailed": DownloadFailed("too big", url="https://files.example.com/a.wav"),
}


def drawn() -> dict[str, tuple[str | None, str | None]]:
    """Each name of the drawing with its parent and the builtin class in brackets."""
    tree: dict[str, tuple[str | None, str | None]] = {}
    path: list[str] = []
    drawing = (errors.__doc__ or "").split("::\n", 1)[1].split("\nExceptions can")[0]
    for line in drawing.splitlines():
        found = LINE.match(line)
        if found is not None:
            depth = (len(found[1]) - 4) // 2
            del path[depth:]
            tree[found[2]] = (path[-1] if path else None, found[3])
            path.append(found[2])
    return tree


def example(name: str) -> RelayError:
    if name in SPECIAL:
        return SPECIAL[name]
    kind: Any = getattr(errors, name)
    made: RelayError = kind("what happened: do this next")
    return made


NAMES = sorted(errors.__all__)


@pytest.mark.static
def test_nothing_raises_the_root_of_the_tree() -> None:
    """It says of nothing what to do about it. It is there to be caught, and for the tests of users."""
    assert not [
        f"{name_of(path)}:{node.lineno}"
        for path in MODULES
        for node in nodes(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "RelayError"
    ]


def test_the_drawing_names_every_class() -> None:
    assert sorted(drawn()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_tree_is_as_drawn(name: str) -> None:
    parent, builtin = drawn()[name]
    kind = getattr(errors, name)
    bases = [base for base in kind.__mro__[1:] if base.__name__ in errors.__all__]
    assert (bases[0].__name__ if bases else None) == parent
    if builtin is not None:
        assert issubclass(kind, BUILTIN[builtin])
    inherited = {drawn()[each.__name__][1] for each in (kind, *bases)}
    for other, builtin_class in BUILTIN.items():
        assert issubclass(kind, builtin_class) is (other in inherited)


@pytest.mark.parametrize("name", NAMES)
def test_every_class_is_found_where_users_look(name: str) -> None:
    kind = getattr(errors, name)
    assert kind.__module__ == "relay_sync"
    assert getattr(relay_sync, name) is kind
    assert name in relay_sync.__all__
    assert kind.__doc__


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_every_class_can_be_pickled(name: str, protocol: int) -> None:
    error = example(name)
    error.add_note("seen in a worker")
    found = pickle.loads(pickle.dumps(error, protocol))
    assert type(found) is type(error)
    assert (found.code, found.message, str(found)) == (error.code, error.message, str(error))
    assert found.args == error.args
    assert found.__dict__ == error.__dict__
    assert found.__notes__ == ["seen in a worker"]
    del error.__notes__


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, RelayError.fresh])
def test_every_class_can_be_copied(name: str, duplicate: Any) -> None:
    error = example(name)
    found = duplicate(error)
    assert found is not error
    assert type(found) is type(error)
    assert found.__dict__ == error.__dict__
    assert str(found) == str(error)


@pytest.mark.parametrize("value", [threading.Lock(), lambda: None, (threading.Event(),)])
def test_a_refused_value_that_cannot_travel_does_not_keep_the_error_from_it(value: object) -> None:
    error = InvalidParameter("handler", value, "a function")
    assert error.value is value
    found = pickle.loads(pickle.dumps(error))
    assert (str(found), found.parameter, found.accepted) == (str(error), "handler", "a function")
    assert isinstance(found.value, str)
    assert found.value in str(error)


def test_a_fresh_copy_keeps_the_cause_and_not_the_traceback() -> None:
    with pytest.raises(RelayError) as caught:
        raise ConnectTimeout("late") from OSError("below")
    error = caught.value
    found = error.fresh()
    assert found.__cause__ is error.__cause__
    assert found.__traceback__ is None
    assert error.__traceback__ is not None


def test_notes_of_one_copy_are_not_those_of_another() -> None:
    error = ConnectionLost("gone")
    error.add_note("shared")
    one, other = error.fresh(), error.fresh()
    one.add_note("mine")
    assert other.__notes__ == ["shared"]
    assert error.__notes__ == ["shared"]


def test_the_official_way_to_build_and_read_one() -> None:
    error = RelayError(-32601, "method not known")
    assert (error.code, error.message) == (-32601, "method not known")
    assert str(error) == "method not known (code -32601)"
    assert error.args == (-32601, "method not known")
    assert str(RelayError(None, "no code")) == "no code"


@pytest.mark.parametrize("name", NAMES)
def test_the_words_are_told_and_nothing_is_added_where_no_server_spoke(name: str) -> None:
    error = example(name)
    assert error.message in str(error)
    assert str(error) == (error.message if error.code is None else f"{error.message} (code {error.code})")


def test_what_a_class_knows_beside_the_words() -> None:
    assert ConnectionLost("x").sent is False
    assert ConnectionLost("x", sent=True).sent is True
    assert ConnectError("x").fatal is False
    assert CallEnded("x", end_reason="noAnswer").end_reason == "noAnswer"
    assert DialFailed("x", reason="busy").reason == "busy"
    assert isinstance(WaitTimeout("x"), TimeoutError)
    with pytest.raises(ConnectionError):
        raise ConnectTimeout("x")


# -- parameters ------------------------------------------------------------------------------------------------------


def test_a_bad_parameter_names_itself_its_value_and_what_is_accepted() -> None:
    error = InvalidParameter("track", "sideways", "one of inbound, outbound, both")
    assert (error.parameter, error.value, error.accepted) == ("track", "sideways", "one of inbound, outbound, both")
    assert str(error) == "Invalid track='sideways': expected one of inbound, outbound, both"


@pytest.mark.parametrize("value", ["hunter2", b"hunter2", ["hunter2"], {"token": "hunter2"}])
def test_a_secret_value_is_nowhere_in_it(value: object) -> None:
    error = InvalidParameter("token", value, "text", secret=True)
    shown = f"{error!s} {error!r} {error.args!r} {error.__dict__!r} {pickle.dumps(error)!r}"
    assert "hunter2" not in shown
    assert error.value == "<hidden>"


class Rude:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class Mute:
    def __repr__(self) -> str:
        return 5  # type: ignore[return-value]


def test_a_value_that_cannot_show_itself_is_shown_by_its_class() -> None:
    assert "<Rude>" in str(InvalidParameter("url", Rude(), "a URL"))
    assert "<Mute>" in str(InvalidParameter("url", Mute(), "a URL"))


def test_a_long_value_is_cut() -> None:
    assert len(str(InvalidParameter("url", "x" * 100_000, "a URL"))) < 300
