"""What an installation weighs: the distributions a package needs, and the bytes of their files."""

from __future__ import annotations

import marshal
import re
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

import relay_sync

__all__ = ["installed"]


def _needs(found: Distribution) -> list[str]:
    """Names of what it always needs, extras and other platforms left out."""
    names = []
    for requirement in found.requires or ():
        name, _, marker = requirement.partition(";")
        if "extra" in marker or "platform" in marker or "python_version" in marker or "implementation" in marker:
            continue
        match = re.match(r"[A-Za-z0-9._-]+", name)
        assert match is not None
        names.append(match[0])
    return names


def _weight(found: Distribution) -> int:
    if found.metadata["Name"] != "relay-sync":
        paths = (Path(str(found.locate_file(path))) for path in found.files or ())
        return sum(path.stat().st_size for path in paths if path.is_file())
    # Perhaps installed editable, without a list of files: what an installer would put there, byte code included.
    package = Path(relay_sync.__file__).parent
    files = [path for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return sum(path.stat().st_size + _byte_code(path) for path in files)


def _byte_code(path: Path) -> int:
    if path.suffix != ".py":
        return 0
    return 16 + len(marshal.dumps(compile(path.read_bytes(), str(path), "exec")))


def installed(name: str) -> dict[str, Any]:
    """Megabytes and number of distributions, and each one's kilobytes."""
    todo, seen = [name], {}
    while todo:
        found = distribution(todo.pop())
        key = found.metadata["Name"].lower().replace("_", "-")
        if key not in seen:
            seen[key] = _weight(found)
            todo += _needs(found)
    return {
        "megabytes": sum(seen.values()) / 1e6,
        "distributions": len(seen),
        "kilobytes": {key: round(size / 1e3) for key, size in sorted(seen.items(), key=lambda one: -one[1])},
    }
