"""A client of a language server over pipes: what an editor shows while a call is typed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["LanguageServer"]


class LanguageServer:
    """basedpyright's language server for one folder; a context manager that ends it.

    :param folder: the root of the workspace.
    """

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from basedpyright.langserver import main; main()", "--stdio"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._asked = 0
        try:
            self._initialize(folder)
        except BaseException:  # the server did not start
            self.__exit__()
            raise

    def _initialize(self, folder: Path) -> None:
        plain = {"documentationFormat": ["plaintext"], "parameterInformation": {"labelOffsetSupport": False}}
        self._ask(
            "initialize",
            {
                "processId": None,
                "rootUri": folder.as_uri(),
                "capabilities": {
                    "textDocument": {"signatureHelp": {"signatureInformation": plain}},
                    "workspace": {"configuration": True},
                },
            },
        )
        self._send({"method": "initialized", "params": {}})

    def __enter__(self) -> LanguageServer:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.kill()
        self._process.communicate()

    def help(self, path: Path, text: str, places: Sequence[tuple[int, int]]) -> list[tuple[str, str]]:
        """Open a file, and ask for the help at some places.

        :param path: where the file would be.
        :param text: its content.
        :param places: lines and columns, from 0.
        :return: for each place, the label of the active parameter and its documentation; empty texts if there is none.
        """
        document = {"uri": path.as_uri(), "languageId": "python", "version": 1, "text": text}
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": document}})
        return [self._help(path, line, column) for line, column in places]

    def _help(self, path: Path, line: int, column: int) -> tuple[str, str]:
        place = {"textDocument": {"uri": path.as_uri()}, "position": {"line": line, "character": column}}
        found = self._ask("textDocument/signatureHelp", place) or {}
        for signature in found.get("signatures", [])[found.get("activeSignature") or 0 :][:1]:
            active = signature.get("activeParameter", found.get("activeParameter"))
            if active is not None and 0 <= active < len(signature["parameters"]):
                parameter = signature["parameters"][active]
                shown = parameter.get("documentation") or ""
                return parameter["label"], shown if isinstance(shown, str) else shown["value"]
        return "", ""

    def _ask(self, method: str, params: dict[str, Any]) -> Any:
        self._asked += 1
        number = self._asked
        self._send({"id": number, "method": method, "params": params})
        while True:
            message = self._receive()
            if message.get("id") == number and "method" not in message:
                assert "error" not in message, message
                return message["result"]
            if "method" in message and "id" in message:  # the server asks for settings
                items = message["params"].get("items", []) if message["method"] == "workspace/configuration" else []
                settings = [{"analysis": {"diagnosticMode": "openFilesOnly"}, "pythonPath": sys.executable}] * len(
                    items
                )
                self._send({"id": message["id"], "result": settings or None})

    def _send(self, message: dict[str, Any]) -> None:
        content = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(content) + content)
        self._process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout
        size = 0
        while line := self._process.stdout.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                size = int(value)
        assert size, "the language server has ended"
        message: dict[str, Any] = json.loads(self._process.stdout.read(size))
        return message
