# SPDX-License-Identifier: Apache-2.0
"""A document as a page: what is folded, what opens, and how texts are set."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from charts import LOOKS, PANELS, chart

from bpfbench.report.document import Block, Chapter, Field, Figure, Paragraph, Table, texts
from bpfbench.report.figures import screen
from bpfbench.report.figures.palette import looks
from bpfbench.report.spans import Baseline, Overview, Span, Spans
from bpfbench.report.write import html


def page(*blocks: Block) -> str:
    return html.text((Chapter("First", blocks, "first"),), "title", "test", looks(["libbpf"]))


def test_what_is_folded_opens_and_its_places_can_be_pointed_at() -> None:
    table = Table(texts("what"), ((Field("a"),),), "own", "Own")
    shown = page(Chapter("Behind", (table,), folded=True))
    details = shown[shown.index("<details") : shown.index("</details>")]
    assert "<summary>Behind</summary>" in details
    assert 'id="first-own"' in details


def test_of_tiles_each_opens_on_its_own_evidence() -> None:
    rows = tuple(
        (Field(f"claim {number}"), Field("3.1" if number < 3 else "3.2, 4"), Field(said, weight=weight), Field("seen"))
        for number, (said, weight) in enumerate(
            [("holds", "good"), ("fails", "bad"), ("open", "open"), ("absent", "unclear")]
        )
    )
    shown = page(Table(texts("claim", "section", "verdict", "evidence"), rows, "claims", "Claims", tiled=True))
    tiles = re.findall(r"<details><summary.*?</details>", shown, re.DOTALL)
    assert [f"claim {number}" in tile and "seen" in tile for number, tile in enumerate(tiles)] == [True] * 4
    assert "<b>3.1</b>" in shown
    assert "<b>3.2</b>" in shown


def test_a_minus_is_one_and_a_name_is_left_alone() -> None:
    table = Table(texts("a-1", "b"), ((Field("-3 to -1", detail="[-2, 4]"), Field("ebpf-go-2")),), title="-1")
    shown = page(Paragraph("from -2.5 % (at -1), run 2026-11-27"), table)
    assert not re.search(r"(?<![\w:])-\d", re.sub(r"<(style|script).*?</\1>", "", shown, flags=re.DOTALL))
    assert "2026-11-27" in shown
    assert "ebpf-go-2" in shown


def test_an_overview_says_its_numbers_as_text_and_draws_what_goes_on_as_an_arrow() -> None:
    spans = (Span("libbpf", 3.0, (-4.0, 900.0), "+3 % [-4, +900]", told=True),)
    shown = page(Overview((Spans("runtime", "%", spans, Baseline(0.0, "vanilla"), (-10.0, 50.0)),), "A caption."))
    figure = shown[shown.index('<figure class="overview"') :]
    assert '<th scope="row">libbpf</th>' in figure
    assert "+3\N{NO-BREAK SPACE}% [\N{MINUS SIGN}4, +900]" in figure
    assert figure.count('class="head"') == 1
    assert "A caption." in figure


def test_a_page_stays_small_enough_to_send_whatever_there_is_to_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = tuple(Figure(replace(chart(PANELS["dots"]), key=f"figure {n}"), "read") for n in range(9))
    room = 2 * len(screen.html(figures[0].chart, "read", LOOKS))
    monkeypatch.setattr(html, "MOST_BYTES", room)
    made = html.text((Chapter("First", figures, "first"),), "title", "test", LOOKS)
    assert made.count('role="img"') == 2
    assert made.count("bpfbench report --figures writes it") == 7


def test_small_data_are_in_the_page_and_large_ones_are_said_to_be_beside_it() -> None:
    small = html.Download("small", "tables/small.csv", "text/csv", b"a,b\n")
    large = html.Download("large", "tables/large.csv", "text/csv", b"a" * (html.EMBEDDED_MOST + 1))
    made = html.text((Chapter("First", (), "first"),), "title", "test", {}, (small, large))
    assert '<a href="data:text/csv;base64,YSxiCg==" download="small.csv">small</a> (in this page)' in made
    assert '<a href="tables/large.csv" download="large.csv">large</a> (beside this page, tables/large.csv)' in made
