"""What ``manage.py check`` says about the settings."""

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
    """The settings can be right. Credentials may come later: they are often not there where a project is built."""
    found = _check(lambda: RelayClient(**client_options()))
    for make in (webhooks, in_runserver):
        # What is wrong with all settings is told once.
        found += [each for each in _check(make) if each not in found]
    if not any(isinstance(each, Error) for each in found) and client_options().get("contexts") in ([], (), frozenset()):
        found.append(
            Warning(
                "settings.RELAY_SYNC['contexts'] is empty: no calls and no messages come in.",
                hint="Name a context, such as 'default', or leave the key out.",
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
                    hint="Without it no calls can be taken or made.",
                    id="relay_sync.W001",
                )
            ]
        return [Error(problem.message, hint="See settings.RELAY_SYNC.", id="relay_sync.E001")]
    return []


@register(Tags.security, deploy=True)
def check_webhooks(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Callbacks are verified in production."""
    try:
        strict = webhooks().strict
    except InvalidParameter:  # told by the other check
        return []
    if strict:
        return []
    return [
        Warning(
            "Status callbacks are taken without proof that they come from the platform.",
            hint="Set RELAY_SYNC['webhooks'] to {'signing_key': ..., 'public_url': ..., 'strict': True}, "
            "if your callbacks are signed.",
            id="relay_sync.W002",
        )
    ]
