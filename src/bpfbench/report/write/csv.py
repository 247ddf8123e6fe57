# SPDX-License-Identifier: Apache-2.0
"""A table as CSV with a header; RFC 4180 but for the line ends, which are line feeds. What is absent is empty."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence

from bpfbench.report.document import Table


def text(table: Table) -> str:
    """Write a table as it is read; what has details has a column more for them."""
    detailed = {at for row in table.rows for at, cell in enumerate(row) if cell.details}

    def spread_out(pairs: Iterable[tuple[str, str]]) -> list[str]:
        return [field for at, pair in enumerate(pairs) for field in (pair if at in detailed else pair[:1])]

    header = spread_out((title, f"{title}: details") for title in table.header)
    return _written([header, *(spread_out((cell.number, cell.details) for cell in row) for row in table.rows)])


def data(header: Sequence[str], rows: Iterable[Mapping[str, object]]) -> Iterator[str]:
    """Write rows by the names of their columns, numbers unrounded, line by line."""
    writer = csv.writer(_Echo(), lineterminator="\n")
    yield writer.writerow(header)
    for row in rows:
        yield writer.writerow([row.get(name) for name in header])


class _Echo:
    """Hands on each line that is written to it."""

    def write(self, line: str) -> str:
        return line


def _written(rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()
