"""The ``manage.py relay_doctor`` command, which diagnoses the configuration."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from .....cli.arguments import doctor_options
from .....cli.doctor import diagnose
from .....cli.mistakes import Mistake, Unsuccessful
from ...handlers import get_client
from ...settings import client_origins

__all__ = ["Command"]


class Command(BaseCommand):
    """Command that shows the configuration and its origin, tests it, and suggests fixes."""

    help = "Shows the configuration and its origin, tests it, and suggests fixes."
    requires_system_checks: tuple[()] = ()  # The diagnosis reports the same errors.

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options of ``relay-sync doctor``."""
        doctor_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Diagnose the project's client.

        :raises CommandError: an option is invalid.
        :raises SystemExit: the diagnosis found a problem.
        """
        try:
            code = diagnose(get_client, Namespace(**options), client_origins)
        except Mistake as mistake:
            raise CommandError(f"argument {mistake}", returncode=2) from None
        except Unsuccessful as failure:
            raise CommandError(str(failure)) from None
        if code:
            sys.exit(code)
