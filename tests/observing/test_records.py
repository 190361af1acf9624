"""Records as JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_sync import CallRecord
from relay_sync.observing import RecordingRecord, StreamRecord

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
TIMES = st.none() | st.datetimes(
    min_value=datetime(1970, 1, 3),
    max_value=datetime(2900, 1, 1),
    timezones=st.integers(-14, 14).map(lambda hours: timezone(timedelta(hours=hours))),
)
STREAMS = st.builds(
    StreamRecord,
    control_id=st.text(),
    name=st.text(),
    state=st.text(),
    track=st.text(),
    codec=st.text(),
    url=st.text(),
    started_at=TIMES,
    ended_at=TIMES,
    custom_parameters=st.dictionaries(st.text(), JSON, max_size=3),
)
RECORDINGS = st.builds(
    RecordingRecord,
    control_id=st.text(),
    state=st.text(),
    url=st.text(),
    duration=st.floats(0, 1e6),
    size=st.integers(0, 2**40),
)
RECORDS = st.builds(
    CallRecord,
    call_id=st.text(),
    direction=st.text(),
    from_=st.text(),
    to=st.text(),
    context=st.text(),
    tag=st.text(),
    offered_at=TIMES,
    answered_at=TIMES,
    ended_at=TIMES,
    end_reason=st.text(),
    streams=st.lists(STREAMS, max_size=2).map(tuple),
    recordings=st.lists(RECORDINGS, max_size=2).map(tuple),
    commands=st.integers(0, 2**40),
    errors=st.lists(st.text(), max_size=3).map(tuple),
)


@given(RECORDS, st.dictionaries(st.text().filter(lambda name: not hasattr(CallRecord(), name)), JSON, max_size=2))
def test_a_record_survives_json(record: CallRecord, unknown: dict[str, Any]) -> None:
    data = record.to_dict()
    assert CallRecord.from_dict(data) == record
    written = json.loads(json.dumps({**data, **unknown}))
    read = CallRecord.from_dict(written)
    assert read == record
    assert read.offered_at is None or read.offered_at.tzinfo is UTC


@pytest.mark.parametrize("written", ["2026-03-01T12:00:00", "2026-03-01T12:00:00Z", "2026-03-01T14:00:00+02:00"])
def test_times_are_in_utc(written: str) -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    record = CallRecord.from_dict({"ended_at": written})
    assert record == CallRecord(ended_at=noon)
    assert record.to_dict()["ended_at"] == "2026-03-01T12:00:00+00:00"


@pytest.mark.parametrize("written", ["soon", "", 1767225600, True, ["2026-01-01"]])
def test_what_is_no_time_is_refused(written: Any) -> None:
    with pytest.raises(ValueError, match=r"isoformat|Invalid time"):
        CallRecord.from_dict({"ended_at": written})


def test_what_a_record_lacks_has_its_default() -> None:
    assert CallRecord.from_dict({}) == CallRecord()
    assert CallRecord.from_dict({"streams": [{"later": 1}]}).streams == (StreamRecord(),)
    with pytest.raises(ValueError, match="yesterday"):
        CallRecord.from_dict({"ended_at": "yesterday"})


def test_a_record_does_not_change() -> None:
    with pytest.raises(AttributeError):
        CallRecord().call_id = "other"  # type: ignore[misc]
