# SPDX-License-Identifier: Apache-2.0
"""A document as a small HTML page without scripts that loads itself again: for what changes while it is looked at."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from bpfbench.report.document import Block, Bullets, Code, Document, Heading, Paragraph, Table, Terms, flat

HEAD = Markup("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
{again}<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem;
  color-scheme: light dark }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884; vertical-align: top }}
td.number, th.number {{ text-align: right; font-variant-numeric: tabular-nums }}
.warning {{ font-weight: bold }} .fine {{ opacity: .7 }}
</style></head><body><main>
""")


def text(document: Document, title: str, again_s: int | None = None) -> str:
    """Write a document as a page that loads itself again every so many seconds, or not."""
    again = Markup('<meta http-equiv="refresh" content="{}">\n').format(again_s) if again_s else Markup()
    body = "".join(str(piece) for block in flat(document) for piece in _written(block))
    return f"{HEAD.format(again=again, title=title)}{body}</main></body></html>\n"


def _written(block: Block) -> Iterator[Markup]:
    match block:
        case Heading():
            yield Markup("<h1>{}</h1>\n").format(block.text)
        case Paragraph():
            yield Markup('<p class="{}">{}</p>\n').format(block.tone, block.text)
        case Bullets():
            items = Markup().join(Markup("<li>{}</li>\n").format(line) for line in block.lines)
            yield Markup('<ul class="{}">\n{}</ul>\n').format(block.tone, items)
        case Terms():
            items = Markup().join(Markup("<dt>{}</dt><dd>{}</dd>\n").format(*item) for item in block.items)
            yield Markup("<dl>\n{}</dl>\n").format(items)
        case Code():
            yield Markup("<pre>{}</pre>\n").format("\n".join(block.lines))
        case Table():
            yield _table(block)
        case _:
            raise AssertionError(f"{type(block).__name__} is for reports")


def _table(block: Table) -> Markup:
    kinds = ["" if column.is_text else "number" for column in block.columns]
    header = zip(kinds, block.header, strict=True)
    top = Markup().join(Markup('<th class="{}">{}</th>').format(kind, text) for kind, text in header)
    rows = Markup()
    for fields in block.rows:
        own = zip(kinds, (field.line for field in fields), strict=True)
        row = Markup().join(Markup('<td class="{}">{}</td>').format(kind, text) for kind, text in own)
        rows += Markup("<tr>{}</tr>\n").format(row)
    return Markup("<table>\n<tr>{}</tr>\n{}</table>\n").format(top, rows)
