# SPDX-License-Identifier: Apache-2.0
"""Documentation and docstrings keep to the house style, as far as a program can tell."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
LINE_MOST = 100
CELL_MOST = 380
FILE_MOST = 450
FENCED = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)

DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", "src/bpfbench/tracers/*.md")
    for path in TOP.glob(pattern)
)
MODULES = sorted(
    path for path in (TOP / "src" / "bpfbench").rglob("*.py") if (TOP / "src/bpfbench/tracers") not in path.parents
)


def relative(path: Path) -> str:
    return str(path.relative_to(TOP))


def prose(text: str) -> Iterator[str]:
    """Yield all lines but those of tables, be they Markdown's or what bpfbench prints, and of links."""
    for block in text.split("\n\n"):
        if "────" not in block:
            yield from (
                line for line in block.split("\n") if not line.lstrip().startswith("|") and "](http" not in line
            )


@pytest.mark.parametrize("path", DOCUMENTS, ids=relative)
def test_lines_of_documentation_are_short(path: Path) -> None:
    assert [line for line in prose(path.read_text()) if len(line) > LINE_MOST] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=relative)
def test_cells_of_tables_are_no_paragraphs(path: Path) -> None:
    cells = (cell.strip() for line in path.read_text().split("\n") if line.startswith("|") for cell in line.split("|"))
    assert [cell for cell in cells if len(cell) > CELL_MOST] == []


def empty_sections(text: str) -> list[str]:
    """Return headings that another of the same or a higher level follows at once, or nothing."""
    lines = [line for line in FENCED.sub("x", text).split("\n") if line.strip()]
    levels = [len(line) - len(line.lstrip("#")) if line.lstrip("#").startswith(" ") else 0 for line in lines]
    return [line for line, own, next_ in zip(lines, levels, [*levels[1:], 1], strict=True) if 0 < next_ <= own]


@pytest.mark.parametrize("path", DOCUMENTS, ids=relative)
def test_no_section_is_empty(path: Path) -> None:
    assert empty_sections(path.read_text()) == []


def test_an_empty_section_is_noticed() -> None:
    assert empty_sections("# A\n\n## B\n\n## C\n\n```sh\n# no heading\n```\n\n### D\n") == ["## B", "### D"]


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_module_opens_with_a_sentence_and_is_no_longer_than_can_be_read(path: Path) -> None:
    text = path.read_text()
    opening = (ast.get_docstring(ast.parse(text)) or "").split("\n\n")[0]
    assert opening.endswith(".")
    assert len(text.splitlines()) <= FILE_MOST


def test_no_two_classes_have_one_name() -> None:
    trees = (ast.parse(path.read_text()) for path in MODULES)
    names = Counter(node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    assert [name for name, count in names.items() if count > 1] == []


def test_every_folder_with_tests_of_a_room_is_named_like_it() -> None:
    unit = TOP / "tests" / "unit"
    folders = {path.relative_to(unit).parts[0] for path in unit.glob("*/**/*.py")}
    assert [name for name in sorted(folders) if not (TOP / "src" / "bpfbench" / name).is_dir()] == []
