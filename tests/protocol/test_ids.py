"""IDs of frames and controls."""

from __future__ import annotations

import os
import uuid

import pytest

from relay_sync.protocol.ids import new_id
from tests.support.forks import in_child


def test_ids_are_random_uuids_and_never_the_same() -> None:
    ids = [new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    for text in ids:
        read = uuid.UUID(text)
        assert (str(read), read.version, read.variant) == (text, 4, uuid.RFC_4122)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_makes_other_ids_than_its_parent() -> None:
    new_id()  # so that random bytes are left over
    reader, writer = os.pipe()
    try:
        in_child(lambda: os.write(writer, " ".join(new_id() for _ in range(100)).encode()))
        theirs = os.read(reader, 100 * 37).decode().split()
    finally:
        os.close(reader)
        os.close(writer)
    assert len(theirs) == 100
    assert not set(theirs) & {new_id() for _ in range(100)}
