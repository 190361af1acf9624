"""The ``manage.py relay`` command, which receives calls."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser, SystemCheckError

from .....cli.arguments import HEALTH_HELP
from .....cli.mistakes import Mistake, Unsuccessful
from .....cli.run import serve
from ...handlers import get_client

__all__ = ["Command"]


class Command(BaseCommand):
    """Command that receives calls until Ctrl-C or SIGTERM, then waits for live calls to end."""

    help = "Receives calls until Ctrl-C or SIGTERM, then lets live calls finish."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the options of ``relay-sync run``."""
        parser.add_argument(
            "--processes", metavar="N", type=int, default=1, help="number of processes, each with its own connection"
        )
        parser.add_argument(
            "--drain",
            metavar="SECONDS",
            type=float,
            default=30.0,
            help="how long live calls may continue after the signal",
        )
        parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
        parser.add_argument("--health", metavar="HOST:PORT", help=HEALTH_HELP)

    def check(self, *args: Any, **kwargs: Any) -> None:
        """Run the system checks.

        :raises SystemCheckError: a check failed. The exit code is set to 2, as for other configuration errors.
        """
        try:
            super().check(*args, **kwargs)
        except SystemCheckError as error:
            error.returncode = 2
            raise

    def handle(self, *args: Any, **options: Any) -> None:
        """Receive calls.

        :raises CommandError: an option or a setting is invalid, or the session was lost and cannot be restored.
        """
        chosen = {name: options[name] for name in ("drain", "log_level", "health")}
        # The system checks have already passed in this process. A failure in a child process would not be visible.
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
    """Return the command line that runs this command in a child process.

    The child process inherits ``--settings`` through the environment, where Django has stored it.
    """
    script = Path(sys.argv[0])
    if script.suffix == ".py" and script.name != "__main__.py" and script.is_file():
        return [sys.executable, str(script), "relay"]
    return [sys.executable, "-m", "django", "relay"]
