# SPDX-License-Identifier: Apache-2.0
"""docs: the pages that messages and help name, wherever bpfbench is installed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.markdown import Markdown

from bpfbench import catalogue
from bpfbench.cli.app import stdout
from bpfbench.errors import MachineError, UsageError
from bpfbench.values import choice_message


def docs(
    page: str | None = None,
    /,
    *,
    path: Annotated[bool, Parameter(negative="", help="Print where the page is, instead of the page.")] = False,
) -> int:
    """Print a page of the documentation, or list all pages.

    Parameters
    ----------
    page
        Its name, with or without `docs/` and `.md`.
    """
    pages = _pages()
    if page is None:
        wide = max(map(len, pages))
        for name, file in pages.items():
            said = file if path else _title(file)
            stdout.print(f"{name:<{wide}} {said}", highlight=False, markup=False, soft_wrap=True)
        return 0
    name = page.removeprefix("docs/").removesuffix(".md")
    if name not in pages:
        raise UsageError(f"page: {choice_message(name, tuple(pages))}")
    if path:
        sys.stdout.write(f"{pages[name]}\n")
    elif stdout.is_terminal:
        stdout.print(Markdown(pages[name].read_text(), hyperlinks=False))
    else:
        sys.stdout.write(pages[name].read_text())
    return 0


def _pages() -> dict[str, Path]:
    """Return each page by its name.

    Raises:
        MachineError: they were not installed.
    """
    found = catalogue.docs()
    if not found:
        raise MachineError("the documentation was not installed", "install bpfbench from its wheel, or from a clone")
    return found


def _title(page: Path) -> str:
    return next((line[2:] for line in page.read_text().splitlines() if line.startswith("# ")), "")
