"""What a row of the table of verbs is (``tests/call/verbs/test_verbs.py``), and what several rows use."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from attrs import field, frozen

Json = dict[str, Any]


@frozen(kw_only=True)
class Row:
    """One way to use a verb.

    :ivar name: the test id, ``verb-variant``. :ivar args: and :ivar kwargs: what the verb is given.
    :ivar method: the RPC. :ivar params: its params, without the call's address and the action's ``control_id``.
    :ivar kind: the class of the action that it returns; ``""`` where it returns the reply.
    :ivar events: what the server then sends: type and params without address and ``control_id``; the last one ends it.
    :ivar shows: attributes of the action at its end.
    """

    name: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(factory=dict)
    method: str
    params: Json = field(factory=dict)
    kind: str = ""
    events: tuple[tuple[str, Json], ...] = ()
    shows: Mapping[str, Any] = field(factory=dict)

    @property
    def verb(self) -> str:
        return self.name.partition("-")[0]


def full_row(
    name: str,
    *,
    method: str,
    passed: Json,
    given: Mapping[str, Any] | None = None,
    sent: Json | None = None,
    kind: str = "",
    events: tuple[tuple[str, Json], ...] = (),
    shows: Mapping[str, Any] | None = None,
) -> Row:
    """A row with ``extra``, and with ``on_completed`` where the verb returns an action.

    :param passed: what the verb is given, and sends unchanged under the same names.
    :param given: what else it is given, under another name, or in another form than it sends it.
    :param sent: the params that it makes of ``given``.
    """
    extra = {"brand_new": 1}
    return Row(
        name=name,
        kwargs={**passed, "extra": extra, **({"on_completed": print} if kind else {}), **(given or {})},
        method=method,
        params={**deepcopy({**passed, **extra}), **(sent or {})},
        kind=kind,
        events=events,
        shows=shows or {},
    )


STATUS = "https://app.example.test/status"
HELLO = {"type": "tts", "params": {"text": "hello"}}
