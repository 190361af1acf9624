"""Lets tests import the modules of ``examples/``. They come last, so that they hide no other module."""

from __future__ import annotations

import sys

from tests.support import ROOT

sys.path.append(str(ROOT / "examples"))
