"""Checks of single values, beyond what the verbs' own tests show."""

from __future__ import annotations

import pytest

from relay_sync import InvalidParameter
from relay_sync.params.values import seconds


def test_an_optional_limit_may_be_left_out() -> None:
    assert seconds("timeout", None, optional=True) is None
    assert seconds("timeout", 5, optional=True) == 5.0
    with pytest.raises(InvalidParameter, match="or None"):
        seconds("timeout", 0, optional=True)
