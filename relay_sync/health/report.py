"""What a process reports about itself once a second."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen

__all__ = ["EVERY", "LONGEST", "Report", "Samples"]

#: Interval between two reports, in seconds.
EVERY: Final = 1.0
#: Maximum length of an encoded report in bytes. A report has a few kilobytes.
LONGEST: Final = 64 * 1024
#: Largest value of a report. The sums of such values remain finite.
_LARGEST: Final = 2**64
#: Maximum number of silent threads to name in a report.
_MOST_SILENT: Final = 10
#: Maximum length of a thread's name in a report.
_LONGEST_NAME: Final = 100

#: Values of metrics, by family and label value. The label value is ``""`` in families that have no label.
Samples = Mapping[str, Mapping[str, float]]


@frozen(kw_only=True)
class Report:
    """State of one process.

    :ivar connected: whether the process's client is connected.
    :ivar draining: whether it has stopped accepting calls.
    :ivar over: whether the client has been closed, and the process is about to exit.
    :ivar threads: number of IO threads.
    :ivar silent: time for which threads have not answered a wake-up, in seconds, by name. Threads that have answered are not
        listed.
    :ivar samples: values of the metrics.
    """

    connected: bool = False
    draining: bool = False
    over: bool = False
    threads: int = 0
    silent: Mapping[str, float] = field(factory=dict)
    samples: Samples = field(factory=dict)

    def encode(self) -> str:
        """Return the report as JSON in one line."""
        longest_first = sorted(self.silent, key=lambda name: -self.silent[name])[:_MOST_SILENT]
        return json.dumps(
            {
                "connected": self.connected,
                "draining": self.draining,
                "over": self.over,
                "threads": self.threads,
                "silent": {name[:_LONGEST_NAME]: round(self.silent[name], 3) for name in longest_first},
                "samples": {family: dict(values) for family, values in self.samples.items()},
            },
            separators=(",", ":"),
        )

    @classmethod
    def decode(cls, text: str) -> Report:
        """Parse a report that another process has written.

        :param text: report as JSON.
        :raises ValueError: the text is no report.
        """
        try:
            found = json.loads(text)
            return cls(
                **{name: _truth(found[name]) for name in ("connected", "draining", "over")},
                threads=int(_number(found["threads"])),
                silent={str(name): _number(value) for name, value in found["silent"].items()},
                samples={
                    str(family): {str(label): _number(value) for label, value in values.items()}
                    for family, values in found["samples"].items()
                },
            )
        except (TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
            raise ValueError(f"not a report: {type(error).__name__}") from error


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("not true or false")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _LARGEST:  # NaN is neither
        raise ValueError("not a non-negative number, or too large")
    return value
