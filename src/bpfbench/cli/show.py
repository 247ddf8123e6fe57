# SPDX-License-Identifier: Apache-2.0
"""How a verb prints its answer: for the eye, as Markdown, or as JSON, by the same options everywhere."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from typing import Annotated

from cyclopts import Parameter

from bpfbench.cli.app import Json, stdout
from bpfbench.errors import UsageError
from bpfbench.report.about import About
from bpfbench.report.document import Document
from bpfbench.report.write import json, markdown, terminal


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Form:
    """What an answer is printed as: tables for the eye, unless something else is chosen."""

    json: Json = False
    markdown: Annotated[bool, Parameter(negative="", help="Print Markdown.")] = False

    def __post_init__(self) -> None:
        """Refuse two forms at once."""
        names = [field.name for field in fields(self)]
        if sum(getattr(self, name) for name in names) > 1:
            raise UsageError(f"choose one of {', '.join(f'--{name}' for name in names)}")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class TableForm(Form):
    """The same of an answer that is one table, too."""

    csv: Annotated[bool, Parameter(negative="", help="Print CSV.")] = False


def show(form: Form, kind: str, document: Document, data: object, run: About | None = None, *, schema: int = 1) -> None:
    """Print an answer.

    Args:
        form: what it is printed as.
        kind: the verb that says it.
        document: the answer for people.
        data: the answer for programs.
        run: the run that it is of, if it is of one.
        schema: version of the data.
    """
    if form.json:
        sys.stdout.write(json.text(kind, schema, run, data))
    elif form.markdown:
        sys.stdout.write(markdown.text(document))
    else:
        terminal.write(document, stdout)
