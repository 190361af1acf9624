"""A session, told by hand-written frames and by numbers for a clock."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any, TypeVar

from relay_sync.deadline import Deadline
from relay_sync.protocol.effects import (
    Command,
    Effect,
    Late,
    Phase,
    PhaseChanged,
    Send,
    Settle,
)
from relay_sync.protocol.session import Session, SessionOptions

X = TypeVar("X")

PROJECT, TOKEN, JWT = "project-0815", "PT-hunter2", "eyJ.hunter3"

PROTOCOL = "signalwire_sig_uuid_project-0815"

STATE = "b3BhcXVl:tag"

EVENT = "calling.call.state"


class Talk:
    """A session, what has come out of it, and a clock that is moved by hand."""

    def __init__(self, *, random: float = 0.5, **options: Any) -> None:
        options.setdefault("authentication", {"project": PROJECT, "token": TOKEN})
        ids = (f"id-{number}" for number in itertools.count(1))
        self.session = Session(SessionOptions(**options), new_id=lambda: next(ids), random=lambda: random)
        self.now = 1000.0
        self.settled: dict[str, Any] = {}
        self.late: dict[str, Any] = {}
        self.all: list[Effect] = []

    def do(self, method: Callable[..., None], *args: Any) -> list[Effect]:
        """Call a method of the session; the effects of it, after performing what concerns commands."""
        method(*args)
        effects = self.session.effects()
        assert self.session.effects() == []
        for effect in effects:
            if isinstance(effect, Settle):
                assert effect.command.id not in self.settled
                self.settled[effect.command.id] = effect.outcome
            elif isinstance(effect, Late):
                self.late[effect.command.id] = effect.outcome
        self.all += effects
        return effects

    # -- the transport

    def open(self) -> list[Effect]:
        return self.do(self.session.open, self.now)

    def connected(self) -> dict[str, Any]:
        """The transport stands: the connect frame that was sent."""
        (frame,) = sent(self.do(self.session.connected, self.now))
        return frame

    def receive(self, frame: Any) -> list[Effect]:
        text = frame if isinstance(frame, str) else json.dumps({"jsonrpc": "2.0", **frame})
        return self.do(self.session.received, self.now, text)

    def lose(self) -> list[Effect]:
        return self.do(self.session.lost, self.now, "the connection broke")

    def tick(self, seconds: float = 0.0) -> list[Effect]:
        self.now += seconds
        return self.do(self.session.tick, self.now)

    def wake(self) -> list[Effect]:
        """Wait until the session wants to be woken."""
        wake = self.session.next_wake()
        assert wake is not None
        self.now = max(self.now, wake)
        return self.tick()

    # -- longer ways

    def chatter(self, seconds: float) -> list[Effect]:
        """For so long, while there is a session, the server says something every tenth of a second that is no answer."""
        effects: list[Effect] = []
        end = self.now + seconds
        while self.now < end and self.session.phase is Phase.READY:
            wake = self.session.next_wake()
            assert wake is not None
            assert wake > self.now
            self.now = min(self.now + 0.1, end, wake)
            self.do(self.session.heard, self.now)
            effects += self.tick()
        return effects

    def answer_a_ping(self) -> None:
        """The server answers pings, and is known to."""
        (ping,) = sent(self.wake())
        self.receive({"id": ping["id"], "result": {}})

    def accept(self, connect: dict[str, Any], *, protocol: str = PROTOCOL, state: str | None = STATE) -> list[Effect]:
        effects = self.receive({"id": connect["id"], "result": {"protocol": protocol, "identity": "a@b.eu"}})
        if state is not None:
            effects += self.receive(authorization_state(state))
        return effects

    def ready(self, **answer: Any) -> Talk:
        """Up to an authenticated session."""
        if self.session.phase is Phase.IDLE:
            self.open()
        elif self.session.phase is Phase.BACKING_OFF:
            self.wake()
        self.accept(self.connected(), **answer)
        assert self.session.phase is Phase.READY
        return self

    def submit(self, name: str, *, patience: float = 10.0, **options: Any) -> Command:
        command = Command(
            id=name,
            method=f"calling.{name}",
            text=json.dumps({"jsonrpc": "2.0", "id": name, "method": f"calling.{name}", "params": {}}),
            deadline=Deadline(self.now + patience),
            settle=lambda outcome: None,
            **options,
        )
        self.do(self.session.submit, self.now, command)
        return command


_numbers = itertools.count(1)


def authorization_state(state: Any) -> dict[str, Any]:
    return {
        "id": f"auth-{next(_numbers)}",
        "method": "signalwire.event",
        "params": {"event_type": "signalwire.authorization.state", "params": {"authorization_state": state}},
    }


def event(frame_id: Any = "e-1", **params: Any) -> dict[str, Any]:
    payload = {"event_type": EVENT, "timestamp": 1.5, "params": {"call_id": "c"}, **params}
    return {"id": frame_id, "method": "signalwire.event", "params": payload}


def leaving(**params: Any) -> dict[str, Any]:
    return {"id": "bye", "method": "signalwire.disconnect", "params": params}


def sent(effects: list[Effect]) -> list[dict[str, Any]]:
    frames = [json.loads(effect.text) for effect in effects if isinstance(effect, Send)]
    assert all(frame["jsonrpc"] == "2.0" for frame in frames)
    return frames


def only(kind: type[X], effects: list[Effect]) -> list[X]:
    return [effect for effect in effects if isinstance(effect, kind)]


def phases(effects: list[Effect]) -> list[Phase]:
    return [effect.phase for effect in only(PhaseChanged, effects)]
