"""What may go wrong between a client and its server, as values; and seeded random sequences of it.

Directions are the client's: ``up`` is what it sends, ``down`` what it receives.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final, Literal

from attrs import Attribute, field, frozen

__all__ = [
    "STORM",
    "AfterBytes",
    "AfterSeconds",
    "AtConnection",
    "Corrupt",
    "Cut",
    "Direction",
    "Fault",
    "Refuse",
    "Shape",
    "Stall",
    "Step",
    "random_faults",
]

Direction = Literal["up", "down", "both"]


def _one_of(*allowed: object) -> Any:
    def check(_: object, attribute: Attribute[Any], value: object) -> None:
        if value not in allowed:
            raise ValueError(f"{attribute.name}={value!r}: {' or '.join(map(repr, allowed))}")

    return check


_direction = _one_of("up", "down", "both")


@frozen
class Cut:
    """End every open connection. ``fin``: closed in order. ``reset``: by RST. What the proxy holds of them is lost.
    ``silent``: nothing passes any more, and nobody is told (a cable that was pulled, a NAT that forgot). ``deaf``: what the
    client sends vanishes, while the server's goes on to pass.
    """

    how: str = field(default="fin", validator=_one_of("fin", "reset", "silent", "deaf"))


@frozen
class Stall:
    """Take nothing more from the senders of the open connections; new ones are not affected.

    :ivar seconds: how long; 0 for good.
    """

    direction: str = field(default="both", validator=_direction)
    seconds: float = 0.0


@frozen
class Shape:
    """How bytes travel, on open connections and new ones. Without arguments as ever.

    :ivar rate: bytes per second. :ivar segment: at most so many bytes at a time, each in a segment of its own.
    :ivar hold: seconds that bytes are kept back, so that what was sent apart arrives together.
    :ivar seconds: how long it lasts; 0 for good.
    """

    direction: str = field(default="both", validator=_direction)
    rate: float | None = None
    segment: int | None = None
    hold: float = 0.0
    seconds: float = 0.0


@frozen
class Corrupt:
    """Change bytes that come next: ``skip`` pass, then ``count`` are combined with ``mask`` by XOR."""

    direction: str = field(default="down", validator=_one_of("up", "down"))
    skip: int = 0
    count: int = 1
    mask: int = 0xFF


@frozen
class Refuse:
    """Take no new connections. ``unreachable``: nobody listens. ``reset``, ``fin``: taken, and ended at once.
    ``silent``: taken, and never answered. ``None`` takes them again.

    :ivar seconds: how long; 0 for good.
    """

    how: str | None = field(default="unreachable", validator=_one_of("unreachable", "reset", "fin", "silent", None))
    seconds: float = 0.0


Fault = Cut | Stall | Shape | Corrupt | Refuse


@frozen
class AfterBytes:
    """Once exactly so many bytes have passed since the script began; a fault may fall into the midst of a frame."""

    direction: str = field(validator=_one_of("up", "down"))
    count: int


@frozen
class AfterSeconds:
    """So many seconds after the step before."""

    seconds: float


@frozen
class AtConnection:
    """When the n-th connection comes in, counted from 1 over the proxy's life; before any of its bytes pass."""

    number: int


@frozen
class Step:
    """One line of a script."""

    when: AfterBytes | AfterSeconds | AtConnection
    fault: Fault


#: The kinds of a storm, each as often as it stands here.
STORM: Final = ("cut", "cut", "reset", "silent", "stall", "slow", "split", "merge", "corrupt", "refuse")


def random_faults(
    seed: int, *, every: tuple[float, float] = (0.5, 3.0), kinds: tuple[str, ...] = STORM
) -> Iterator[tuple[float, Fault]]:
    """Faults without end, each with the seconds to pass before it. The same seed gives the same sequence.

    Whatever lasts, lasts for a few seconds at the most, so that a client that does not give up gets through.
    """
    dice = random.Random(seed)
    while True:
        yield dice.uniform(*every), _random_fault(dice, dice.choice(kinds))


def _random_fault(dice: random.Random, kind: str) -> Fault:
    seconds = dice.uniform(0.2, 2.0)
    direction = dice.choice(("up", "down", "both"))
    if kind == "cut":
        return Cut("fin")
    if kind in ("reset", "silent"):
        return Cut(kind)
    if kind == "stall":
        return Stall(direction, seconds)
    if kind == "slow":
        return Shape(direction, rate=dice.uniform(500, 20_000), seconds=seconds)
    if kind == "split":
        return Shape(direction, segment=dice.randint(1, 7), seconds=seconds)
    if kind == "merge":
        return Shape(direction, hold=dice.uniform(0.01, 0.3), seconds=seconds)
    if kind == "corrupt":
        one_way = dice.choice(("up", "down"))
        return Corrupt(one_way, skip=dice.randint(0, 200), count=dice.randint(1, 8), mask=dice.randint(1, 255))
    if kind == "refuse":
        return Refuse(dice.choice(("unreachable", "reset", "fin", "silent")), seconds)
    raise ValueError(f"{kind!r} is no kind of fault: {', '.join(sorted(set(STORM)))}")
