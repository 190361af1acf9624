"""Configuration of the Django application."""

from __future__ import annotations

import os
import sys

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules

__all__ = ["RelaySyncConfig"]


class RelaySyncConfig(AppConfig):
    """Django application that imports the ``calls`` module of every installed application."""

    name: str = "relay_sync.contrib.django"
    label = "relay_sync"
    verbose_name: str = "Calls over SignalWire RELAY"

    def ready(self) -> None:
        """Import handlers and system checks. Under ``runserver``, start receiving calls if the settings enable it."""
        from . import checks  # noqa: F401

        autodiscover_modules("calls")
        if _serves_for_development():
            from ...errors import InvalidParameter
            from .handlers import hosted
            from .settings import in_runserver

            try:
                wanted = in_runserver()
            except InvalidParameter:  # The system checks report this error.
                return
            if wanted:
                from ...cli.run import log_to_stderr

                log_to_stderr("info")
                hosted.start()


def _serves_for_development() -> bool:
    """Return whether this process serves requests under ``runserver``. With the reloader, the parent process does not."""
    if len(sys.argv) < 2 or sys.argv[1] != "runserver":
        return False
    return os.environ.get("RUN_MAIN") == "true" or "--noreload" in sys.argv
