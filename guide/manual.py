# SPDX-License-Identifier: Apache-2.0
"""Manual pages, made from the code that reads the command line: one of bpfbench, and one of each verb.

They say what the reference on the site says, in the language of man(7). They have a version and no date: the same
source makes the same pages.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator

import reference

from bpfbench import __version__
from bpfbench.cli import HELP, VERBS, command_line

VERB = re.compile(r"^## bpfbench (\S+)\n", re.MULTILINE)
"""Where a verb begins."""
PARTS = re.compile(
    r"""
    ^[#]{3,}\ (?P<part>.+)                                                        # a verb of a verb
    | ^```console\n(?P<usage>.+)\n```
    | ^\*\*(?P<title>.+)\*\*:                                                     # of a list
    | ^\*\ \[?`(?P<term>.+?)`(?:\]\(.*?\))?:?\ ?(?P<said>.*(?:\n\ {4}.+)*)        # an option, or a verb of a verb
    | ^(?P<text>.+(?:\n.+)*)                                                      # a paragraph
    """,
    re.MULTILINE | re.VERBOSE,
)
"""What the reference is made of, which is little of Markdown."""
MARKED = re.compile(r"\*(\[.*?\])\*|\*\*(\[.*?\])\*\*")
"""What stands behind an option: its default, say."""
LITERAL = str.maketrans({"\\": r"\(rs", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti"})
"""What roff would read as something else, or print as another character."""
WIDTH = 78
OPTIONS = {"--help, -h": "Show help; behind a verb, that verb's.", "--version, -V": "Show the version."}
COMPLETION = "--install-completion"
ENVIRONMENT = {
    "BPFBENCH_CACHE": "Where images and data files are kept, in place of /var/cache/bpfbench for root and "
    "~/.cache/bpfbench for anybody else.",
    "NO_COLOR": "If it is set, nothing is coloured.",
}
"""What no option stands for; those that one stands for are told with it."""


def pages() -> dict[str, str]:
    """Return the pages by the names of their files."""
    _, *parts = VERB.split(reference.verbs())
    of_verbs = dict(zip(parts[::2], parts[1::2], strict=True))
    return {"bpfbench.1": _whole()} | {f"bpfbench-{verb}.1": page(verb, text) for verb, text in of_verbs.items()}


def page(verb: str, text: str) -> str:
    """Return the page of a verb, of which the reference says this."""
    about = VERBS[verb][1]
    lines = [*_head(f"bpfbench-{verb}", about), *_body(verb, text)]
    return _joined((*lines, *_also(["bpfbench"])))


def _whole() -> str:
    """Return the page of bpfbench, which lists the verbs."""
    app = command_line(None)
    told, statuses = HELP.split("\n\n")
    options = OPTIONS | {COMPLETION: app[COMPLETION].help}
    return _joined(
        (
            *_head("bpfbench", app.help),
            ".SH SYNOPSIS",
            r"\fBbpfbench\fR \fIVERB\fR [OPTIONS] [ARGS]",
            ".SH DESCRIPTION",
            *_running(f"{app.help} {told}"),
            ".SH VERBS",
            *_terms({verb: words for verb, (_, words) in VERBS.items()}),
            ".SH OPTIONS",
            *_terms(options),
            ".SH EXIT STATUS",
            *_running(statuses.removeprefix("Exit status: ")),
            ".SH ENVIRONMENT",
            *_terms(ENVIRONMENT),
            *_also(f"bpfbench-{verb}" for verb in VERBS),
        )
    )


def _head(name: str, about: str) -> Iterator[str]:
    """Yield what every page begins with, by which apropos(1) finds it."""
    said = about.rstrip(".")
    yield f'.TH {_literal(name.upper())} 1 "" "bpfbench {__version__}" "bpfbench"'
    yield ".SH NAME"
    yield rf"{_literal(name)} \- {_literal(said[0].lower() + said[1:])}"


def _also(names: Iterable[str]) -> Iterator[str]:
    yield ".SH SEE ALSO"
    yield from _running(", ".join(f"`{name}`(1)" for name in names))
    yield ".PP"
    yield from _running("`bpfbench docs` lists the pages of the documentation, `bpfbench docs PAGE` prints one.")


def _body(verb: str, text: str) -> Iterator[str]:
    """Yield what the reference says of a verb. What it says of the verbs of a verb comes in sections of their own."""
    within = described = headed = False
    if "```" not in text.partition("\n###")[0]:  # whoever calls it names one of its verbs
        yield ".SH SYNOPSIS"
        yield rf"\fBbpfbench {_literal(verb)}\fR \fIVERB\fR [OPTIONS] [ARGS]"
    for part in PARTS.finditer(text):
        match part.lastgroup:
            case "part":
                yield f".SH {_literal(part['part'].upper())}"
                within = described = headed = True
                continue
            case "usage":
                yield from () if within else (".SH SYNOPSIS",)
                yield rf"\fB{_literal(part['usage'])}\fR"
            case "title":
                yield f".{'SS' if within else 'SH'} {_literal(part['title'] if within else part['title'].upper())}"
                described = headed = True
                continue
            case "said":
                yield from _terms({part["term"]: part["said"]})
            case _:
                yield from (".SH DESCRIPTION",) if not described else () if headed else (".PP",)
                described = True
                yield from _running(part["text"])
        headed = False


def _terms(terms: dict[str, str]) -> Iterator[str]:
    """Yield a list: of each term what is typed in bold, what stands for something else in italics."""
    for names, said in terms.items():
        words = ((_literal(word), word.startswith("-") or not word.isupper()) for word in names.split())
        yield ".TP"
        yield " ".join(rf"\fB{word}\fR" if typed else rf"\fI{word}\fR" for word, typed in words)
        yield from _running(MARKED.sub(r"\1\2", said))


def _running(text: str) -> Iterator[str]:
    """Yield running text in lines, with what is in backquotes in bold."""
    parts = re.split(r"`([^`]+)`", " ".join(text.split()))
    marked = "".join(rf"\fB{_literal(part)}\fR" if at % 2 else _literal(part) for at, part in enumerate(parts))
    for line in textwrap.wrap(marked, WIDTH, break_long_words=False, break_on_hyphens=False):
        yield rf"\&{line}" if line.startswith(".") else line  # which would be a request


def _literal(text: str) -> str:
    """Return text that roff prints as it is, in ASCII."""
    return "".join(one if one.isascii() else rf"\[u{ord(one):04X}]" for one in text.translate(LITERAL))


def _joined(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"
