"""Open the telephone in the browser, without showing its key to other users of this machine."""

from __future__ import annotations

import html
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from ..guardian import Guardian
from ..runtime_files import prepared_folder

__all__ = ["opened"]

#: The command line of a process can be read by other users, and the link contains the key. The browser therefore gets a file that
#: only the user can read.
_PAGE: Final = """<!doctype html>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={link}">
<title>relay-sync</title>
<a href="{link}">Open the telephone</a>
"""
_OPEN: Final = "import sys, webbrowser; sys.exit(not webbrowser.open(sys.argv[1]))"
#: Time for the process that opens the browser to end, in seconds.
ENDING: Final = 2.0


@contextmanager
def opened(link: str, guardian: Guardian) -> Iterator[subprocess.Popen[bytes]]:
    """Open a link in the browser. The exit code of the process is not 0 if there is no browser.

    :param link: the link.
    :param guardian: deletes the file with the link if this process is killed.
    :raises OSError: the file cannot be written, or the process cannot be started.
    """
    number, name = tempfile.mkstemp(prefix="telephone-", suffix=".html", dir=prepared_folder())  # With mode 0600.
    try:
        with guardian.file(name):
            with os.fdopen(number, "w", encoding="utf-8") as file:
                file.write(_PAGE.format(link=html.escape(link, quote=True)))
            with _browser(Path(name).as_uri()) as process:
                yield process
    finally:
        with suppress(OSError):
            os.unlink(name)


@contextmanager
def _browser(url: str) -> Iterator[subprocess.Popen[bytes]]:
    # A browser in the terminal would block, so it runs in a process of its own, without input.
    process = subprocess.Popen(
        [sys.executable, "-c", _OPEN, url],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        for end in (process.terminate, process.kill):
            end()
            with suppress(subprocess.TimeoutExpired):
                process.wait(ENDING)
                break
