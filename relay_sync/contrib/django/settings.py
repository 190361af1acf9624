"""Access to ``settings.RELAY_SYNC``.

The setting is a mapping of :class:`relay_sync.RelayClient` parameters. It accepts two additional keys:

``webhooks``
    Mapping of :class:`relay_sync.webhooks.Webhooks` parameters.
``runserver``
    Whether the development server receives calls. Defaults to ``False``.
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
    """Return the client parameters that the settings contain.

    :raises InvalidParameter: the settings are invalid.
    """
    return merge(_all(), {}, where=WHERE, others=OTHERS)


def client_origins() -> dict[str, str]:
    """Return the source of each client parameter that is set in the settings.

    :raises InvalidParameter: the settings are invalid.
    """
    return origins(_all(), {}, where=WHERE)


def webhooks() -> Webhooks:
    """Create the parser for status callbacks.

    :raises InvalidParameter: the settings are invalid.
    """
    return make_webhooks(_all(), where=WHERE)


def in_runserver() -> bool:
    """Return whether ``manage.py runserver`` receives calls.

    :raises InvalidParameter: the settings are invalid.
    """
    wanted = _all().get("runserver")
    if wanted is not None and not isinstance(wanted, bool):
        raise InvalidParameter(f"{WHERE}['runserver']", wanted, "True or False", secret=True)
    return bool(wanted)
