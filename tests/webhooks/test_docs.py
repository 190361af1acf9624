"""The docstrings of callbacks: every field is described, and inherited fields have the same words in each class."""

from __future__ import annotations

from typing import Final

import attrs
import pytest

from relay_sync.webhooks import Callback, OtherStatus, RecordingStatus, StreamStatus
from tests.support.fields import described, reworded

DERIVED: Final = (OtherStatus, RecordingStatus, StreamStatus)
#: Each class lists its own kinds and states.
OWN: Final = {"kind", "state"}


@pytest.mark.parametrize("cls", [Callback, *DERIVED])
def test_every_field_is_described(cls: type[Callback]) -> None:
    assert set(described(cls.__doc__ or "")) == {member.name for member in attrs.fields(cls)}


@pytest.mark.parametrize("cls", DERIVED)
def test_inherited_fields_have_the_words_of_their_base(cls: type[Callback]) -> None:
    assert reworded(cls, Callback, OWN) == []
