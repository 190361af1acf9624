"""``settings.RELAY_SYNC``: a mapping of :class:`relay_sync.RelayClient`'s parameters, and a few of our own.

``webhooks``
    the parameters of :class:`relay_sync.webhooks.Webhooks`
``runserver``
    whether the development server takes calls, too; false if left out
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings

from ...errors import InvalidParameter
from ...webhooks import Webhooks
from ..hosting import make_webhooks, merge, origins

__all__ = ["client_options", "client_origins", "in_runserver", "webhooks"]

WHERE: Final = "settings.RELAY_SYNC"
OTHERS: Final = frozenset({"webhooks", "runserver"})


def _all() -> Mapping[str, Any]:
    found: Mapping[str, Any] = getattr(settings, "RELAY_SYNC", None) or {}
    merge(found, {}, where=WHERE, others=OTHERS)
    return found


def client_options() -> dict[str, Any]:
    """What the client is made with. :raises InvalidParameter: settings that cannot be right."""
    return merge(_all(), {}, where=WHERE, others=OTHERS)


def client_origins() -> dict[str, str]:
    """Which parameters came from the settings. :raises InvalidParameter: settings that cannot be right."""
    return origins(_all(), {}, where=WHERE)


def webhooks() -> Webhooks:
    """What reads callbacks, made anew. :raises InvalidParameter: settings that cannot be right."""
    return make_webhooks(_all(), where=WHERE)


def in_runserver() -> bool:
    """Whether ``manage.py runserver`` takes calls. :raises InvalidParameter: settings that cannot be right."""
    wanted = _all().get("runserver")
    if wanted is not None and not isinstance(wanted, bool):
        raise InvalidParameter(f"{WHERE}['runserver']", wanted, "True or False", secret=True)
    return bool(wanted)
