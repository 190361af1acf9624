"""Notebooks that tests run in a kernel."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

import pytest

__all__ = ["notebook_client"]


def notebook_client(notebook: Any, *, timeout: float = 60.0, folder: Path | None = None) -> Any:
    """Return an nbclient for a notebook. The test is skipped if the extra ``slow`` is not installed.

    The kernel listens on Unix sockets. Jupyter chooses TCP ports before it starts the kernel, and another process may take one
    of them in between.

    :param timeout: timeout of each cell, in seconds.
    :param folder: working directory of the kernel.
    """
    nbclient = pytest.importorskip("nbclient", reason="notebooks need the extra slow")
    sockets = tempfile.mkdtemp()  # tmp_path may be too long for the address of a Unix socket
    connection = {"transport": "ipc", "ip": f"{sockets}/kernel"}
    config = pytest.importorskip("traitlets.config").Config({"ConnectionFileMixin": connection})
    resources = {} if folder is None else {"metadata": {"path": str(folder)}}
    client = nbclient.NotebookClient(
        notebook, timeout=timeout, kernel_name="python3", resources=resources, config=config
    )
    weakref.finalize(client, shutil.rmtree, sockets, ignore_errors=True)
    return client
