"""The table of faults by moments: what a user sees of each fault at each moment.

``python -m tests.support.faults.table`` writes ``docs/faults.md`` from it; ``tests/faults/test_table.py`` runs every
cell, and fails if a cell is empty or the file is stale.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from typing import Final

from attrs import frozen

from relay_sync import RelayClient
from relay_sync.client.link import CONNECT_PATIENCE
from relay_sync.client.messages import NEWS_PATIENCE
from relay_sync.protocol.liveness import COMMANDS
from relay_sync.protocol.liveness import MOST_UNANSWERED as UNANSWERED
from relay_sync.protocol.session import MOST_REFUSALS
from tests.support import ROOT
from tests.support.faults.moments import FAULTS, MOMENTS
from tests.support.faults.troubles import TROUBLES, WORKS
from tests.support.generators import rewrite

__all__ = ["FILE", "OF_THE_PROCESS", "OUTCOMES", "NotApplicable", "cells", "page"]

FILE: Final = ROOT / "docs" / "faults.md"


@frozen
class NotApplicable:
    """A combination that does not exist, and why."""

    reason: str


#: Seconds of the client's own defaults.
PING: Final = inspect.signature(RelayClient).parameters["ping_interval"].default
PONG: Final = inspect.signature(RelayClient).parameters["ping_timeout"].default

Outcome = str | NotApplicable

V = "value"
LOST = "ConnectionLost"
SENT = "ConnectionLost, sent"
UNSENT = "ConnectionLost, not sent"
TOO_LATE = "NotConnected, not sent"
REFUSED = "AuthenticationError"
OVER = "ClientClosed"
NO_CONNECTION = NotApplicable("there is no connection yet")
NO_SESSION = NotApplicable("the platform sends this only within a session, and there is none")


def row(*outcomes: Outcome) -> dict[str, Outcome]:
    """One fault's cells, in the order of the moments."""
    return dict(zip(MOMENTS, outcomes, strict=True))


def recovers(before: Outcome) -> dict[str, Outcome]:
    """The row of a fault that costs the connection, after which a client gets it back, and its session."""
    return row(before, V, V, V, SENT, V, SENT, V, V, V, V, V, V, V, V, V, V, LOST, OVER)


NO_GAP: Final = NotApplicable("the connection is not lost, so there is no gap")
UNAFFECTED: Final = row(*[V] * 13, NO_GAP, NO_GAP, NO_GAP, V, NO_GAP, OVER)

OUTCOMES: Final[dict[str, dict[str, Outcome]]] = {
    "closed": recovers(NO_CONNECTION),
    "reset": recovers(NO_CONNECTION),
    "silent": recovers(NO_CONNECTION),
    "one way": recovers(NO_CONNECTION),
    "up stalled": recovers(NO_CONNECTION),
    "down stalled": recovers(NO_CONNECTION),
    "slow": UNAFFECTED,
    "split": UNAFFECTED,
    "merged": UNAFFECTED,
    "corrupt up": recovers(V),
    "corrupt down": recovers(V),
    "refused": recovers(V),
    "gone": row(
        *("ConnectTimeout", "ConnectTimeout", "ConnectTimeout"),
        *("RequestTimeout", SENT, "RequestTimeout", SENT),
        *("WaitTimeout", "DialFailed", "WaitTimeout", "WaitTimeout", OVER, *["WaitTimeout"] * 6),
        OVER,
    ),
    "swallowed": row(
        *("ConnectTimeout", "ConnectTimeout", "ConnectTimeout"),
        *("RequestTimeout", SENT, "RequestTimeout", SENT),
        *("WaitTimeout", "DialFailed", "WaitTimeout", "WaitTimeout", OVER, *["WaitTimeout"] * 6),
        OVER,
    ),
    "leaves": row(NO_SESSION, NO_SESSION, V, NO_SESSION, *[V] * 13, LOST, OVER),
    "restarts": row(NO_SESSION, NO_SESSION, V, NO_SESSION, V, TOO_LATE, V, *[LOST] * 11, OVER),
    "forgets": row(
        NotApplicable("there is no session yet that the platform could forget"),
        NotApplicable("there is no session yet that the platform could forget"),
        *(V, UNSENT, SENT, TOO_LATE, SENT, *[LOST] * 11, OVER),
    ),
    "revokes": row(
        *(REFUSED, REFUSED, REFUSED, REFUSED, SENT, REFUSED, SENT),
        *(*[REFUSED] * 11, OVER),
    ),
}


CTRL_C: Final = "KeyboardInterrupt"
FORKED: Final = "Forked"

#: By fault, in the order of the works.
OF_THE_PROCESS: Final[dict[str, tuple[str, ...]]] = {
    "Ctrl-C": (CTRL_C, CTRL_C, CTRL_C, CTRL_C),
    "a signal": (V, V, V, V),
    "a fork": (V, V, V, V),
    "a child": (FORKED, FORKED, V, FORKED),
    "a full disk": (V, V, V, "OSError"),
    "a log that raises": (V, V, V, V),
    "a log that blocks": (V, V, V, V),
}


def cells() -> Iterator[tuple[str, str, Outcome | None]]:
    """Every fault at every moment, in order; ``None`` where the table has no entry."""
    for fault in FAULTS:
        for moment in MOMENTS:
            yield fault, moment, OUTCOMES.get(fault, {}).get(moment)


CHAPTERS: Final = {
    "Connecting": ("before", "upgrade", "authentication"),
    "Commands": ("unsent", "sent", "answered", "callback", "closing"),
    "Waiting": ("action", "dial", "wait_for", "expect", "events", "wait_for_ended", "message"),
    "Ends that the client misses": ("gap", "action gap", "answer gap", "message gap"),
}

LEGEND: Final = f"""\
# Faults and their results

This page shows the result that your program gets if the network, the platform or the process fails at a given moment.

The page is generated by `python -m tests.support.faults.table` from the table that the tests run. A test fails if the page is
out of date or a cell is empty. Do not edit it.

Each cell is a test in which a client talks to the simulator through a proxy that breaks the connection. Every test finishes
within a time limit. `ok` means that the fault does not affect the result: the client reconnects and resumes the session. The
other cells name the exception that is raised.

* `{SENT}`: the command may have been executed. It is not repeated, except for commands that can safely be executed twice
  ([when the connection is lost](threads.md#when-the-connection-is-lost)). `{UNSENT}`: the command was not executed,
  because its session and calls no longer exist; `{TOO_LATE}` if the client already knew this.
* `ConnectTimeout`, `RequestTimeout`, `WaitTimeout`, `DialFailed`: the timeout expired before the client was connected again.
  The client keeps trying. `events()` has no timeout; it ended when the client was closed.
* `AuthenticationError`: the platform rejected the credentials; {MOST_REFUSALS} times in a row if they had been valid before.
* After a reconnect, the client checks its calls and, where a command without side effects exists, their actions, so it also
  detects ends that it missed. RELAY has no command to query a message. If no event arrives, `message.wait()` raises
  `ConnectionLost` {NEWS_PATIENCE:g} s after the reconnect.
* A silent connection is detected within {PING + PONG:g} s (`ping_interval + ping_timeout`). While connecting, the limits are
  `connect_timeout` for the upgrade and {CONNECT_PATIENCE:g} s for the login. A broken connection is detected immediately.
* If the platform keeps sending but no longer receives anything, the client notices {UNANSWERED * PING + PONG:g} s after the
  last reply (`{UNANSWERED} * ping_interval + ping_timeout`). This works only if the platform has replied to a ping before, or
  if {COMMANDS} commands are unanswered.

## The faults

| fault | what happens |
|---|---|
"""


ABOUT_PROCESSES: Final = """\
## Faults in the program

These faults occur in the program while its main thread waits and the connection works. After Ctrl-C, legs that are still
ringing are canceled, and actions that start late are stopped. A child process has its own client, which connects on first
use. Calls, actions and streams belong to the parent process. If the disk is full, the stream continues, and `save()` raises
an exception.

| fault | what happens |
|---|---|
"""


def _written(outcome: Outcome | None, reasons: list[str]) -> str:
    if isinstance(outcome, NotApplicable):
        if outcome.reason not in reasons:
            reasons.append(outcome.reason)
        return f"– ({reasons.index(outcome.reason) + 1})"
    return "ok" if outcome == V else f"`{outcome}`"


def _table(corner: str, titles: list[str], rows: Iterable[tuple[str, Iterable[str]]]) -> list[str]:
    """The lines of a table; each row has a name."""
    head = [f"| {corner} | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|"]
    return head + [f"| {name} | {' | '.join(cells)} |" for name, cells in rows]


def page() -> str:
    """The text of the file."""
    reasons: list[str] = []
    out = [LEGEND + "\n".join(f"| {name} | {kind.told} |" for name, kind in FAULTS.items())]
    for chapter, moments in CHAPTERS.items():
        rows = ((fault, [_written(OUTCOMES[fault][moment], reasons) for moment in moments]) for fault in FAULTS)
        out += ["", f"## {chapter}", "", *_table("fault", [MOMENTS[moment][0] for moment in moments], rows)]
    out += ["", *(f"({number}) {reason}" + "  " for number, reason in enumerate(reasons, 1))]
    out += ["", ABOUT_PROCESSES + "\n".join(f"| {name} | {trouble.told} |" for name, trouble in TROUBLES.items())]
    rows = ((name, [_written(outcome, reasons) for outcome in outcomes]) for name, outcomes in OF_THE_PROCESS.items())
    out += ["", *_table("fault", [title for title, _ in WORKS.values()], rows)]
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    rewrite(FILE, page)
