# SPDX-License-Identifier: Apache-2.0
"""Answers as documents: whatever a name holds reaches terminal and Markdown as text."""

from __future__ import annotations

import io

from rich.console import Console

from bpfbench.report.document import section, table
from bpfbench.report.write import markdown, terminal

ODD = tuple(section("Of [bold]a|b[/bold]", ("It is 5 * 3.",), table(("setup", "n"), (("own|[red]x", "1\n2"),))))


def shown(encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    terminal.write((*ODD, *ODD), Console(file=file, width=80))
    return raw.getvalue().decode(encoding)


def test_markup_in_names_is_shown_and_not_obeyed() -> None:
    text = shown()
    assert "Of [bold]a|b[/bold]" in text
    assert "own|[red]x" in text
    assert "1 2" in text


def test_a_terminal_without_unicode_gets_none() -> None:
    assert shown("ascii").isascii()


def test_markdown_keeps_its_columns_whatever_a_cell_holds() -> None:
    lines = markdown.text(ODD).splitlines()
    assert lines[0] == r"### Of \[bold\]a\|b\[/bold\]"
    assert lines[2] == r"It is 5 \* 3."
    assert lines[4:] == ["| setup | n |", "| --- | ---: |", r"| own\|\[red\]x | 1 2 |"]


def test_a_section_without_rows_has_no_table() -> None:
    assert markdown.text(tuple(section("Nothing", (), table(("a",), ())))) == "### Nothing\n"
