"""The simulator's inner layers: its parts import downwards only, types included, and no two modules import each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import pytest

import relay_sync.simulator
from tests.support.modules import NAMED, circles, imported

ROOT = "relay_sync.simulator."
#: From the bottom to the top; parts of one layer know nothing of each other. A part that is inside another stands by itself.
LAYERS = (
    ("speech", "core"),
    ("media",),
    ("people",),
    ("methods",),
    ("relay", "http"),
    ("scenario", "fault_controls", "scripting"),
    ("server",),
    ("http.telephone",),
    ("http.control",),
)
HEIGHT = {part: height for height, parts in enumerate(LAYERS) for part in parts}


def part(module: str) -> str:
    """The part that a module of the simulator belongs to."""
    inner = module.removeprefix(ROOT)
    return max((each for each in HEIGHT if f"{inner}.".startswith(f"{each}.")), key=len, default=inner)


def arrows() -> dict[str, list[str]]:
    """What each module of the simulator imports of it, types included."""
    return {
        name: [each for each in imported(path, types=True) if each.startswith(ROOT) and each in NAMED and each != name]
        for name, path in NAMED.items()
        if name.startswith(ROOT)
    }


def wrong(found: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """The imports that do not point downwards, unless they stay within a part."""
    for module, others in found.items():
        for other in others:
            here, there = part(module), part(other)
            if here != there and HEIGHT[there] >= HEIGHT[here]:
                yield f"{module} -> {other}"


@pytest.mark.static
def test_every_part_has_its_layer() -> None:
    assert {part(module) for module in arrows()} == HEIGHT.keys()


def test_imports_point_downwards() -> None:
    assert list(wrong(arrows())) == []


def test_no_modules_import_each_other() -> None:
    assert circles(arrows()) == []


@pytest.mark.parametrize(
    ("module", "other"),
    [
        ("core.world", "people.network"),
        ("relay", "http.rest"),
        ("http.rest", "http.control.routes"),
        ("relay", "server"),
    ],
)
def test_arrows_that_point_elsewhere_are_seen(module: str, other: str) -> None:
    assert list(wrong({ROOT + module: [ROOT + other]})) == [f"{ROOT}{module} -> {ROOT}{other}"]
    assert list(wrong({ROOT + "http.control.routes": [ROOT + "http.rest"]})) == []
    assert circles({"one": ["two"], "two": ["three"], "three": ["one"]})


def test_the_docstring_lists_the_floors_in_this_order() -> None:
    told = relay_sync.simulator.__doc__ or ""
    listed = [line for line in told.splitlines() if line.startswith("``")]
    assert listed == [", ".join(f"``{each}``" for each in parts) for parts in (("core",), *LAYERS[1:])]
