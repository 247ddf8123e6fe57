# SPDX-License-Identifier: Apache-2.0
"""ARCHITECTURE.md tells the truth: its table has a dot for each import between rooms, and its paths are there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import grimp
import pytest

TOP = Path(__file__).parents[2]
TEXT = (TOP / "ARCHITECTURE.md").read_text()
PACKAGE = "bpfbench"

Arrows = dict[str, set[str]]


def drawn(text: str) -> tuple[dict[str, str], Arrows]:
    """Return the room of each package or module, and which room imports which, as the table has it.

    A room is one package or module of its name; `words` are those that the list below the table names.
    """
    labels: dict[str, str] = dict(re.findall(r"^- \*\*(\w+):\*\* (.*)$", text, re.MULTILINE))
    rooms = {name: name for name in labels if name != "words"} | dict.fromkeys(labels["words"].split(", "), "words")
    (head,) = re.findall(r"^\| \| (cluster \| .*) \|$", text, re.MULTILINE)
    columns = head.split(" | ")
    assert columns == list(labels)[1:]
    arrows: Arrows = {}
    for room, cells in re.findall(r"^\| \*\*(\w+)\*\* \|(.*)\|$", text, re.MULTILINE):
        dots = [cell.strip() == "●" for cell in cells.split("|")]
        arrows[room] = {column for column, dot in zip(columns, dots, strict=True) if dot}
    assert list(arrows) == list(labels)
    return rooms, arrows


def imported(rooms: dict[str, str]) -> Arrows:
    """Return the arrows that the imports make. The package itself, its version, and __main__ are no rooms."""
    graph = grimp.build_graph(PACKAGE, cache_dir=None)

    def room(module: str) -> str | None:
        name = module.split(".")[1] if "." in module else "__main__"
        return None if name == "__main__" else rooms[name]

    found: Arrows = {name: set() for name in rooms.values()}
    for module in graph.modules:
        for other in graph.find_modules_directly_imported_by(module):
            begin, end = room(module), room(other)
            if begin and end and begin != end:
                found[begin].add(end)
    return found


def wrong(text: str) -> set[tuple[str, str]]:
    """Return the arrows that either the imports make or the table has, and not both."""
    rooms, arrows = drawn(text)
    return {(room, end) for room, ends in imported(rooms).items() for end in ends ^ arrows[room]}


def test_the_arrows_drawn_are_those_that_the_imports_make() -> None:
    assert wrong(TEXT) == set()


def test_an_arrow_that_is_not_drawn_is_noticed() -> None:
    row = "| **report** | | | | | ● |"
    assert wrong(TEXT.replace(row, row.replace("●", " "))) == {("report", "analysis")}


def test_no_room_imports_one_above_it() -> None:
    _, arrows = drawn(TEXT)
    order = list(arrows)
    assert [(room, end) for room in order for end in arrows[room] if order.index(end) <= order.index(room)] == []


def test_every_room_has_layers_and_every_module_of_it_one_of_them() -> None:
    contracts = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layered = {room for contract in contracts if contract.get("exhaustive") for room in contract["containers"]}
    packages = (path.parent.name for path in (TOP / "src" / PACKAGE).glob("*/__init__.py"))
    assert {f"{PACKAGE}.{name}" for name in packages} <= layered


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`([\w/.-]+/[\w.-]*)`", TEXT))))
def test_what_it_names_is_there(path: str) -> None:
    places = (TOP / path, TOP / "src" / PACKAGE / path)
    assert path.startswith("versions/") or any(place.exists() for place in places)
