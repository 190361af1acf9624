"""``manage.py relay_doctor``: what is configured and from where, whether it works, and what to do if not."""

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
    """The command."""

    help = "Says what is configured and from where, whether it works, and what to do if not."
    requires_system_checks: tuple[()] = ()  # what they would end with is told here, with the rest

    def add_arguments(self, parser: CommandParser) -> None:
        """The options of ``relay-sync doctor``."""
        doctor_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Examine the project's client.

        :raises CommandError: an option cannot be right. :raises SystemExit: something is to mend.
        """
        try:
            code = diagnose(get_client, Namespace(**options), client_origins)
        except Mistake as mistake:
            raise CommandError(f"argument {mistake}", returncode=2) from None
        except Unsuccessful as failure:
            raise CommandError(str(failure)) from None
        if code:
            sys.exit(code)
