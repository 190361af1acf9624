"""What ``setup.cfg`` declares."""

from __future__ import annotations

import configparser
import re

from tests.support import ROOT

__all__ = ["lower_bounds", "sections"]


def sections() -> configparser.ConfigParser:
    """``setup.cfg``, in which extras that include others are written out."""
    found = configparser.ConfigParser()
    found.read(ROOT / "setup.cfg", encoding="utf-8")
    return found


def lower_bounds(requirements: str) -> dict[str, str]:
    """The lower bounds of packages, given one a line. An extra that includes another one lists its own bounds last."""
    return dict(re.findall(r"^([\w-]+)>=([\d.]+)", requirements, re.MULTILINE))
