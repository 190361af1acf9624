"""System checks for the settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, Warning, register

from ...client.client import RelayClient
from ...errors import InvalidParameter
from .settings import client_options, in_runserver, webhooks

__all__ = ["check_settings", "check_webhooks"]

_CREDENTIALS = frozenset({"project", "token", "jwt_token"})


@register("relay_sync")
def check_settings(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Check ``settings.RELAY_SYNC``.

    Missing credentials are reported as a warning, because build environments often have none.
    """
    found = _check(lambda: RelayClient(**client_options()))
    for make in (webhooks, in_runserver):
        # Each function validates the whole mapping. Report the same error only once.
        found += [each for each in _check(make) if each not in found]
    if not any(isinstance(each, Error) for each in found) and client_options().get("contexts") in ([], (), frozenset()):
        found.append(
            Warning(
                "settings.RELAY_SYNC['contexts'] is empty: the client receives no calls and no messages.",
                hint="Name a context, such as 'default', or remove the key.",
                id="relay_sync.W003",
            )
        )
    return found


def _check(make: Callable[[], object]) -> list[CheckMessage]:
    try:
        make()
    except InvalidParameter as problem:
        if problem.parameter in _CREDENTIALS:
            return [
                Warning(
                    problem.message,
                    hint="Without it the client cannot receive or make calls.",
                    id="relay_sync.W001",
                )
            ]
        return [Error(problem.message, hint="See settings.RELAY_SYNC.", id="relay_sync.E001")]
    return []


@register(Tags.security, deploy=True)
def check_webhooks(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Check that status callback signatures are verified in production."""
    try:
        strict = webhooks().strict
    except InvalidParameter:  # check_settings() reports this error.
        return []
    if strict:
        return []
    return [
        Warning(
            "Status callbacks are accepted without a valid signature of the platform.",
            hint="Set RELAY_SYNC['webhooks'] to {'signing_key': ..., 'public_url': ..., 'strict': True}, "
            "if the platform signs your callbacks.",
            id="relay_sync.W002",
        )
    ]
