"""The programs of the pages on Flask and Django, with other ports. ``AUDIO_URL`` is their address for the outside."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.support import ROOT
from tests.support.pages import blocks

__all__ = ["HOOKS", "PATCH", "write_django", "write_flask"]

DOCS: Final = ROOT / "docs"
#: With preload, a program is loaded before gunicorn's worker patches it: the pages say so.
PATCH: Final = "from gevent import monkey; monkey.patch_all()\n"
HOOKS: Final = "from relay_sync.contrib.gunicorn import post_worker_init, worker_exit\n"
_SETTINGS: Final = """
SECRET_KEY = "for tests"
ROOT_URLCONF = "project.urls"
INSTALLED_APPS = ["shop", "relay_sync.contrib.django"]
RELAY_SYNC = {"contexts": ["default"]}
"""
_MANAGE: Final = """
import os, sys
from django.core.management import execute_from_command_line
os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"
execute_from_command_line(sys.argv)
"""
_WSGI: Final = """
import os
from django.core.wsgi import get_wsgi_application
os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"
application = get_wsgi_application()
"""


def _block(page: str, first_line: str) -> str:
    text = (DOCS / page).read_text("utf-8")
    return next(block for block in blocks(text) if block.startswith(f"{first_line}\n"))


def _program(page: str, first_line: str, port: int | range) -> str:
    block = _block(page, first_line)
    assert block.count("port=range(8765, 8773),") == 1
    return block.replace("port=range(8765, 8773),", f"port={port!r},")


def _write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def write_flask(folder: Path, port: int | range, hooks: str = HOOKS) -> None:
    """Write ``app.py``, with ``create_app()``, and ``hooks.py`` for gunicorn.

    :param port: of the ``AudioServer``.
    """
    _write(folder, {"app.py": _program("flask.md", "# app.py", port), "hooks.py": hooks})


def write_django(folder: Path, port: int | range, hooks: str = HOOKS) -> None:
    """Write a project with ``manage.py`` and ``project.wsgi``, and ``hooks.py`` for gunicorn.

    :param port: of the ``AudioServer``.
    """
    files = {
        "manage.py": _MANAGE,
        "project/__init__.py": "",
        "project/settings.py": _SETTINGS,
        "project/urls.py": _block("django.md", "# project/urls.py"),
        "project/wsgi.py": _WSGI,
        "shop/__init__.py": "",
        "shop/calls.py": _program("django.md", "# shop/calls.py", port),
        "hooks.py": hooks,
    }
    _write(folder, files)
