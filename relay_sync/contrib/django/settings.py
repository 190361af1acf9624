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
from ..hosting import merge, origins

__all__ = ["client_options", "client_origins", "in_runserver", "webhook_options"]

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


def webhook_options() -> dict[str, Any]:
    """What reads callbacks is made with. :raises InvalidParameter: settings that cannot be right."""
    given = _all().get("webhooks") or {}
    if not isinstance(given, Mapping):
        raise InvalidParameter(f"{WHERE}['webhooks']", given, "a mapping", secret=True)
    return dict(given)


def in_runserver() -> bool:
    """Whether ``manage.py runserver`` takes calls. :raises InvalidParameter: settings that cannot be right."""
    return bool(_all().get("runserver"))
