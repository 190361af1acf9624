"""Routes of the control interface, by topic."""

from __future__ import annotations

from typing import Final

from ..router import Route
from . import calls, faults, identity, network, observations, scripting
from .about import about

__all__ = ["ROUTES"]

# The routes of a new module are added here.
_TOPICS: Final[tuple[Route, ...]] = (
    *calls.ROUTES,
    *network.ROUTES,
    *observations.ROUTES,
    *faults.ROUTES,
    *identity.ROUTES,
    *scripting.ROUTES,
)

#: All routes.
ROUTES: Final[tuple[Route, ...]] = (*about(_TOPICS), *_TOPICS)
