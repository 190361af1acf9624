"""Conversations as tests: a file says what a caller says and presses, and what the caller has to hear.

::

    [[step]]
    hears = "How can I help?"

    [[step]]
    says = "I would like twenty-three pizzas."

:func:`play` plays such a file with a simulator. ``relay-sync converse`` and the pytest fixture ``relay_scenario`` use it.

====================  ===============================================================================
``performance``       :func:`play`: the call, and its steps
``listening``         what the caller hears; the recognizer's thread
``mouth``             the caller's voice
``sentences``         what the caller says: words, bundled sentences, WAV files
``functions``         the user's voice and recognizer: found by name, called with a time limit
``report``, ``rows``  what happened, and what was expected beside it
``reading``           parses a file. ``line_numbers`` finds the lines of its mistakes
``scenario``          the contents of a file
``words``             compares words. ``spoken_numbers`` converts numbers to digits
====================  ===============================================================================
"""

from __future__ import annotations

from .performance import play
from .reading import read
from .report import Report, Row
from .scenario import Scenario, ScenarioMistake, Step

__all__ = ["Report", "Row", "Scenario", "ScenarioMistake", "Step", "play", "read"]
