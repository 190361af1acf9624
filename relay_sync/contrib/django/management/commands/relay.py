"""``manage.py relay``: take calls until Ctrl-C or SIGTERM, and then let live ones end."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser, SystemCheckError

from .....cli.mistakes import Mistake, Unsuccessful
from .....cli.run import serve
from ...handlers import get_client

__all__ = ["Command"]


class Command(BaseCommand):
    """The command."""

    help = "Takes calls until Ctrl-C or SIGTERM, and then lets live ones end."

    def add_arguments(self, parser: CommandParser) -> None:
        """The options of ``relay-sync run``."""
        parser.add_argument(
            "--processes", metavar="N", type=int, default=1, help="how many, each with a connection of its own"
        )
        parser.add_argument(
            "--drain", metavar="SECONDS", type=float, default=30.0, help="how long live calls may go on at the end"
        )
        parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")

    def check(self, *args: Any, **kwargs: Any) -> None:
        """The system checks. :raises SystemCheckError: one failed; a wrong configuration ends every way to run with code 2."""
        try:
            super().check(*args, **kwargs)
        except SystemCheckError as error:
            error.returncode = 2
            raise

    def handle(self, *args: Any, **options: Any) -> None:
        """Take calls.

        :raises CommandError: an option or the settings cannot be right, or the session was lost for good.
        """
        chosen = {name: options[name] for name in ("drain", "log_level")}
        # The checks were passed here: a process that fails them would fail for a reason that nobody sees.
        again = [*_this_command(), "--skip-checks", "--drain", str(chosen["drain"]), "--log-level", chosen["log_level"]]
        try:
            code = serve(get_client, again, processes=options["processes"], **chosen)
        except Mistake as mistake:
            raise CommandError(f"argument {mistake}", returncode=2) from None
        except Unsuccessful as failure:
            raise CommandError(str(failure), returncode=failure.code) from None
        if code:
            sys.exit(code)


def _this_command() -> list[str]:
    """What starts this command again. ``--settings`` is in the environment by now."""
    script = Path(sys.argv[0])
    if script.suffix == ".py" and script.name != "__main__.py" and script.is_file():
        return [sys.executable, str(script), "relay"]
    return [sys.executable, "-m", "django", "relay"]
