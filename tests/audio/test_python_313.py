"""What Python 3.13 took out of its library is not needed."""

from __future__ import annotations

import pytest

from tests.support.modules import MODULES, imported


@pytest.mark.static
def test_nothing_needs_what_python_313_took_away() -> None:
    for path in MODULES:
        assert not {"audioop", "telnetlib", "cgi"} & set(imported(path, types=True)), path
