"""Checks of single values, beyond what the verbs' own tests show."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from relay_sync import InvalidParameter
from relay_sync.params.values import handler, seconds


def test_an_optional_limit_may_be_left_out() -> None:
    assert seconds("timeout", None, optional=True) is None
    assert seconds("timeout", 5, optional=True) == 5.0
    with pytest.raises(InvalidParameter, match="or None"):
        seconds("timeout", 0, optional=True)


class Shapes:
    """Handlers as programs write them."""

    def method(self, event: Any) -> None: ...

    def method_of_nothing(self) -> None: ...

    @classmethod
    def of_class(cls, event: Any) -> None: ...

    @staticmethod
    def static(event: Any) -> None: ...

    def __call__(self, event: Any) -> None: ...


def wants_two(one: Any, other: Any) -> None: ...


def wants_a_name(event: Any, *, name: str) -> None: ...


def has_a_name(event: Any, *, name: str = "") -> None: ...


def takes_by_position(event: Any, other: Any = None, /) -> None: ...


@functools.wraps(wants_two)
def wraps_two(*args: Any) -> None: ...


SHAPES: list[Callable[..., Any]] = [
    Shapes().method, Shapes().method_of_nothing, Shapes.of_class, Shapes.static, Shapes(), Shapes.method, wants_two,
    wants_a_name, has_a_name, takes_by_position, wraps_two, functools.partial(wants_two, 1), functools.partial(wants_two),
    lambda: None, lambda *args: None, lambda **names: None, lambda event, more=1: None, print, len,
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_a_handler_is_accepted_where_python_could_call_it(shape: Callable[..., Any]) -> None:
    try:
        inspect.signature(shape).bind("event")
        fits = True
    except TypeError:
        fits = False
    if fits:
        assert handler("handler", shape) is shape
    else:
        with pytest.raises(InvalidParameter, match="a function that accepts event"):
            handler("handler", shape)


def test_common_handlers_are_checked_without_their_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    """``inspect.signature`` would cost each call whose handler listens to events 4 KiB of its thread's stack."""
    common = [Shapes().method, Shapes.static, has_a_name, lambda event: None]
    monkeypatch.setattr(inspect, "signature", None)
    for one in common:
        handler("handler", one)
