# SPDX-License-Identifier: Apache-2.0
r"""A document in LaTeX, for \input into a paper: base LaTeX only, no package.

Everything that is not ours is escaped. What TeX's Latin fonts lack is replaced by what they have, or by a question
mark, so that no name or reason of a trial stops the compilation. A table of texts alone becomes a list: nothing breaks
lines in the columns of a tabular.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from bpfbench.report.document import (
    Bullets,
    Code,
    Document,
    Figure,
    Heading,
    Paragraph,
    Plain,
    Table,
    Terms,
    flat,
)
from bpfbench.report.spans import Overview
from bpfbench.report.wording import printable

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

LEVELS = ("section", "subsection", "subsubsection", "paragraph")
TONES = {"note": r"\textbf{Note:} ", "warning": r"\textbf{Warning:} "}

PRINTED = 7
"""Of tables with columns of several importances, a page has room for those from here on."""


def text(document: Document) -> str:
    """Write a document."""
    return "\n\n".join(filter(None, map(_written, flat(document)))) + "\n"


def _written(block: Plain) -> str:
    match block:
        case Heading(title, level):
            return rf"\{LEVELS[level]}{{{escape(title)}}}"
        case Paragraph(said, tone):
            return f"{TONES.get(tone, '')}{escape(said)}"
        case Bullets(lines):
            return _list(map(escape, lines))
        case Terms(items):
            return _list(rf"\textbf{{{escape(name)}:}} {escape(said)}" for name, said in items)
        case Code(lines):
            return "\n".join([r"\begin{verbatim}", *map(verbatim, lines), r"\end{verbatim}"])
        case Table() if block.is_text:
            return f"{{\\footnotesize{_list('; '.join(escape(cell.line) for cell in row) for row in block.rows)}}}"
        case Table():
            return _table(block)
        case Figure(chart):
            return f"{escape(chart.title)}. {escape(chart.caption)}"
        case Overview():
            return ""


def _list(items: Iterable[str]) -> str:
    lines = [rf"\item {item}" for item in items]
    return "\n".join([r"\begin{itemize}", *lines, r"\end{itemize}"]) if lines else ""


def _table(table: Table) -> str:
    """Write a table across both columns of a page, with a caption."""
    shown = [at for at, column in enumerate(table.columns) if column.importance >= PRINTED]
    columns = [table.columns[at] for at in shown]
    heading = [[column.title for column in columns]]
    if any(column.unit for column in columns):
        heading.append([column.unit for column in columns])
    caption = ". ".join(filter(None, (table.title, table.caption)))
    lines = [
        r"\begin{table*}[htbp]",
        r"\centering\scriptsize\setlength{\tabcolsep}{4pt}",
        rf"\begin{{tabular}}{{{''.join('l' if column.is_text else 'r' for column in columns)}}}",
        r"\hline",
        *map(_line, heading),
        r"\hline",
        *(_line([row[at].line for at in shown]) for row in table.rows),
        r"\hline",
        r"\end{tabular}",
        rf"\caption{{{escape(caption)}}}\label{{tab:{table.key}}}",
        r"\end{table*}",
    ]
    return "\n".join(lines)


def _line(texts: Sequence[str]) -> str:
    return " & ".join(map(escape, texts)) + r" \\"


def escape(text: str) -> str:
    """Have LaTeX set a text as it is: one line, without control characters. A minus before a number is set as one."""
    plain = "".join(_escaped(character) for character in printable(text))
    return MINUS.sub("$-$", LIGATURE.sub("{}", plain))


def verbatim(text: str) -> str:
    """Make a line fit for a verbatim environment: ASCII, which TeX takes as it is, and no end of the environment."""
    plain = "".join(c if c.isascii() and c.isprintable() else "?" for c in text)
    return plain.replace(r"\end{verbatim}", r"\end {verbatim}")


def _escaped(character: str) -> str:
    if character in SPECIAL:
        return SPECIAL[character]
    if character.isascii():
        return character
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return "".join(SPECIAL.get(letter, letter) for letter in plain) or "?"
