# SPDX-License-Identifier: Apache-2.0
r"""Tables in LaTeX, for \input into a paper: base LaTeX only, no package.

Everything that is not ours is escaped. What TeX's Latin fonts lack is replaced by what they have, or by a question
mark, so that no name or reason of a trial stops the compilation.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from bpfbench.analysis.summary import Group, Summary
from bpfbench.report import wording
from bpfbench.report.columns import ACCOUNT, Cell, cells, columns_of
from bpfbench.report.run_info import RunInfo

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{MINUS SIGN}": r"$-$",
    "\N{MICRO SIGN}": r"$\mu$",
    "\N{GREEK SMALL LETTER MU}": r"$\mu$",
    "\N{EN DASH}": r"\textendash{}",
    "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
}

LIGATURE = re.compile(r"(?<=-)(?=-)|(?<=')(?=')")
"""Where LaTeX would make one character of two."""
MINUS = re.compile(r"(?<![\w.}-])-(?=\d)")

SHOWN = ("runtime", "latency", "saved", "CPU", "memory")
"""The columns that fit across a page, by title; throughput says what the runtime does. Other formats have all."""
PLUS_MINUS = "\N{PLUS-MINUS SIGN}"


def escape(text: str) -> str:
    """Have LaTeX set a text as it is: one line, without control characters. A minus before a number is set as one."""
    plain = "".join(_escaped(character) for character in wording.printable(text))
    return MINUS.sub("$-$", LIGATURE.sub("{}", plain))


def verbatim(text: str) -> str:
    """Make a line fit for a verbatim environment: ASCII, which TeX takes as it is, and no end of the environment."""
    plain = "".join(c if c.isascii() and c.isprintable() else "?" for c in text)
    return plain.replace(r"\end{verbatim}", r"\end {verbatim}")


def table(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, texts: int, caption: str, label: str, star: bool = False
) -> str:
    """Write a table with a caption; its first `texts` columns are set to the left, the others to the right.

    Args:
        header: of each column; a line feed breaks it into lines.
        rows: texts, escaped here like all others.
        texts: how many columns are no numbers.
        caption: below it.
        label: to refer to it by.
        star: across both columns of a page.
    """
    environment = "table*" if star else "table"
    columns = "l" * texts + "r" * (len(header) - texts)
    lines = [
        rf"\begin{{{environment}}}[htbp]",
        r"\centering\scriptsize\setlength{\tabcolsep}{4pt}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\hline",
        *(_line(part) for part in _header_lines(header)),
        r"\hline",
        *(_line(row) for row in rows),
        r"\hline",
        r"\end{tabular}",
        rf"\caption{{{escape(caption)}}}\label{{{label}}}",
        rf"\end{{{environment}}}",
    ]
    return "\n".join(lines)


def to_latex(summary: Summary, info: RunInfo) -> str:
    """Write a summary as one table for each workload and tool."""
    head = f"% {escape(wording.title(info, summary))}: {escape(wording.circumstances(info))}"
    tables = [_group(group, info, number) for number, group in enumerate(summary.groups, 1)]
    return "\n\n".join([head, *(tables or ["% No trial has been recorded yet."])]) + "\n"


def _group(group: Group, info: RunInfo, number: int) -> str:
    columns = [column for column in columns_of(group) if column in ACCOUNT or column.title in SHOWN]
    header = ["setup", "n", *(f"{column.title}\n{column.unit}" for column in columns)]
    numbers = [[_number(cell) for cell in cells(column, group.rows)] for column in columns]
    names = ([wording.row_name(row, group), ", ".join(wording.counts(row))] for row in group.rows)
    rows = ([*name, *line] for name, line in zip(names, zip(*numbers, strict=True), strict=True))
    return table(header, rows, texts=1, caption=_caption(group, info), label=f"tab:bpfbench-{number}", star=True)


def _caption(group: Group, info: RunInfo) -> str:
    facts = [wording.heading(group), wording.common_configuration(group), f"{info.host}, kernel {info.kernel}"]
    what = wording.ACCOUNT if group.emulated else "Mean and SD; in parentheses the change against vanilla."
    return " ".join([f"{'. '.join(filter(None, facts))}.", what, *wording.warnings(info)])


def _number(cell: Cell | None) -> str:
    if cell is None:
        return wording.ABSENT
    number = f"{cell.mean} {PLUS_MINUS} {cell.sd}" if cell.sd else cell.mean
    if cell.verdict is None:
        return number
    return f"{number} ({cell.difference or wording.ABSENT}{wording.MARKS.get(cell.verdict, '')})"


def _header_lines(header: Sequence[str]) -> list[list[str]]:
    split = [title.split("\n") for title in header]
    return [[title[number] if number < len(title) else "" for title in split] for number in range(max(map(len, split)))]


def _line(texts: Sequence[str]) -> str:
    return " & ".join(map(escape, texts)) + r" \\"


def _escaped(character: str) -> str:
    if character in SPECIAL:
        return SPECIAL[character]
    if character.isascii():
        return character
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return "".join(SPECIAL.get(letter, letter) for letter in plain) or "?"
