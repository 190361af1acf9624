"""The route by which a simulator proves that it wrote the file in which a command has found its address. It needs no key."""

from __future__ import annotations

from typing import Final

from .....hosts.proof import proof_of
from ..kinds import Kind
from ..responses import record
from ..router import Ask, Reply, Route, text_of

__all__ = ["ROUTES"]

#: Maximum length of a challenge, in characters.
LONGEST: Final = 256


_CHALLENGE: Final = Kind(
    {"type": "string", "minLength": 1, "maxLength": LONGEST}, f"a random text of 1 to {LONGEST} characters"
)


def _identity(ask: Ask) -> Reply:
    return 200, {"proof": proof_of(ask.sim.instance_id, ask.query["challenge"])}


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET",
        path="/identity",
        work=_identity,
        summary="Prove that this simulator wrote its runtime file",
        query=(text_of("challenge", _CHALLENGE, required=True),),
        status=200,
        result=record(proof={"type": "string"}),
        open=True,
    ),
)
