# SPDX-License-Identifier: Apache-2.0
"""A run's report in a real browser: read offline, on a phone, without JavaScript, and by who cannot see it.

So is the history of many runs, which is written by the same means.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

pytestmark = pytest.mark.beside

RUN = Path(__file__).parent.parent / "data" / "runs" / "format-2"
UNFOLD = "for (const own of document.querySelectorAll('details')) own.open = true"
HOSTILE = "<script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">"
MOST_BYTES = 4_000_000

CUT = """
[...document.querySelectorAll("p, li, dd, h1, h2, h3, summary, figcaption, svg text, .spans th, .spans td")]
    .filter((own) => own.checkVisibility() && !own.closest(".scroll, pre, .hidden, .skip"))
    .filter((own) => own.getBoundingClientRect().left < 0 || own.getBoundingClientRect().right > innerWidth + 0.5)
    .map((own) => own.textContent)
"""
"""Texts that leave the window."""
COVERED = """
[...document.querySelectorAll(".spans")].flatMap((table) => {
    const boxes = [...table.querySelectorAll("th, td:last-child, svg text")]
        .filter((own) => own.checkVisibility())
        .map((own) => ({ text: own.textContent, ...own.getBoundingClientRect().toJSON() }));
    const beside = (a, b) => a.left > b.right - 1 || a.top > b.bottom - 1;
    const apart = (a, b) => beside(a, b) || beside(b, a);
    return boxes.flatMap((a, at) => boxes.slice(at + 1).filter((b) => !apart(a, b)).map((b) => [a.text, b.text]));
})
"""
"""Texts of the first picture that cover each other."""

# fmt: off
CHROMIUM_OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]
# fmt: on


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of a run with a failed trial, whose reason is meant to do harm."""
    place = tmp_path_factory.mktemp("report")
    shutil.copytree(RUN, place / "run")
    path = min((place / "run" / "trials").iterdir()) / "record.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "status": "failed", "reason": HOSTILE}))
    argv = [
        sys.executable,
        "-m",
        "bpfbench",
        "report",
        str(place / "run"),
        "--output",
        str(place / "out"),
        "--paper",
        "--figures",
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert str(place / "out" / "index.html") in done.stdout
    return place / "out" / "index.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        if "CI" in os.environ:
            pytest.fail("chromium is not installed; scripts/test installs it")
        pytest.skip("chromium is not installed (Debian: chromium)")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=CHROMIUM_OPTIONS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser, index: Path) -> Iterator[Page]:
    """Return the page, opened, and make sure in the end that it asked for nothing and complained of nothing."""
    opened = browser.new_page()
    asked: list[str] = []
    said: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.goto(index.as_uri())
    yield opened
    opened.close()
    assert [url for url in asked if not url.startswith(("data:", "blob:")) and url != index.as_uri()] == []
    assert said == []


def test_it_opens_on_the_answer(page: Page) -> None:
    headings = page.locator("h1, h2").all_inner_texts()
    assert headings[0].endswith("which eBPF library for which need")
    assert headings[1:3] == ["The answer", "Evidence"]


def test_the_first_screen_has_the_answer_its_picture_and_its_noise(page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    for shown in ("#answer .lead >> nth=0", "#answer .overview", "#answer p:has-text('Noise:')"):
        box = page.locator(shown).bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 900
    assert page.evaluate("document.documentElement.scrollHeight") <= 9_000


def test_contents_stay_in_sight(page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    page.get_by_role("link", name="Environment").click()
    assert page.get_by_role("heading", name="Environment").is_visible()
    nav = page.locator("nav").bounding_box()
    assert nav is not None
    assert nav["y"] == 0


def test_a_claim_opens_on_its_evidence(page: Page) -> None:
    tile = page.locator(".tiles details").first
    assert not tile.locator(".opened").is_visible()
    tile.locator("summary").click()
    assert tile.locator(".opened").is_visible()


def test_it_is_small_enough_to_send(index: Path) -> None:
    assert index.stat().st_size < MOST_BYTES


def test_what_a_record_holds_is_shown_and_never_run(page: Page) -> None:
    assert HOSTILE in page.locator("body").inner_text()
    assert "owned" not in page.title()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("opened", [False, True], ids=["folded", "opened"])
def test_who_cannot_see_it_can_read_it(page: Page, scheme: Literal["light", "dark"], *, opened: bool) -> None:
    page.emulate_media(color_scheme=scheme)
    if opened:
        page.evaluate(UNFOLD)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_every_picture_says_what_it_shows(page: Page) -> None:
    pictures = page.locator("svg[role=img]").all()
    assert pictures
    for picture in pictures:
        assert len(picture.get_attribute("aria-label") or "") > 20


def test_it_fits_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.evaluate(UNFOLD)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate(CUT) == []
    assert page.evaluate(COVERED) == []


def test_who_points_at_a_mark_reads_what_it_is(page: Page) -> None:
    page.evaluate(UNFOLD)
    page.locator("figure .mark").first.hover()
    said = page.locator(".hint").inner_text().split("\n")
    assert said[0] == "vanilla"
    assert said[1].startswith("runtime over vanilla: 0 %")
    assert "syscount" in said[-1] or "tracer" in said[-1]


def test_one_filter_is_for_all_figures_and_tables(page: Page) -> None:
    page.evaluate(UNFOLD)
    marks = page.locator("figure g[data-setup=libbpf]")
    rows = page.locator("#evidence tbody tr").filter(has=page.locator("th", has_text="libbpf"))
    assert marks.first.is_visible()
    assert rows.first.is_visible()
    page.get_by_label("libbpf", exact=True).uncheck()
    assert not any(own.is_visible() for own in (*marks.all(), *rows.all()))
    tools = page.locator("[data-tool=rw-tracer]")
    page.get_by_label("rw-tracer", exact=True).uncheck()
    assert not any(own.is_visible() for own in tools.all())


def test_who_is_left_out_leaves_no_gap(page: Page) -> None:
    panel = page.locator("figure svg[data-lane]").first
    before = panel.bounding_box()
    places = [own.bounding_box() for own in panel.locator(".lane .mark").all()]
    page.get_by_label("libbpf", exact=True).uncheck()
    after = panel.bounding_box()
    left = [own.bounding_box() for own in panel.locator(".lane:not(.left-out) .mark").all()]
    assert before is not None
    assert after is not None
    assert after["height"] < before["height"]
    step = (places[1] or before)["y"] - (places[0] or before)["y"]
    tops = [own["y"] for own in left if own]
    assert len(tops) == len(places) - 1
    assert all(abs(low - high - step) < 1 for high, low in itertools.pairwise(tops))
    page.get_by_label("libbpf", exact=True).check()
    again = panel.bounding_box()
    assert again is not None
    assert again["height"] == before["height"]


def test_marks_are_read_by_the_keyboard_too(page: Page) -> None:
    panel = page.locator("figure svg[data-lane]").first
    page.keyboard.press("Tab")
    panel.focus()
    page.keyboard.press("ArrowDown")
    first = page.locator(".hint").inner_text()
    page.keyboard.press("ArrowDown")
    second = page.locator(".hint").inner_text()
    assert first.split("\n")[1].startswith("runtime over vanilla")
    assert first != second
    assert Axe().run(page).violations_count == 0
    page.keyboard.press("Escape")
    assert not page.locator(".hint").is_visible()


def test_its_data_come_with_it(page: Page, index: Path, tmp_path: Path) -> None:
    link = page.get_by_role("link", name="statistics as CSV")
    with page.expect_download() as found:
        link.click()
    found.value.save_as(tmp_path / "statistics.csv")
    assert (tmp_path / "statistics.csv").read_bytes() == (index.parent / "tables" / "statistics.csv").read_bytes()
    assert found.value.suggested_filename == "statistics.csv"


def test_it_can_be_read_without_javascript(browser: Browser, index: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(index.as_uri())
    assert page.locator("table.answer").is_visible()
    assert page.locator("figure svg[role=img]").first.is_visible()
    assert page.locator("figure svg title").count() > 10
    assert page.locator(".filter").count() == 0
    context.close()


def test_it_prints_what_is_folded(page: Page, tmp_path: Path) -> None:
    left = "window.left = document.querySelectorAll('details:not([open])').length"
    page.evaluate(f"addEventListener('beforeprint', () => {{ {left} }})")
    page.pdf(path=tmp_path / "page.pdf", format="A4")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    assert page.evaluate("window.left") == 0


def test_every_figure_is_there_for_print_and_every_table_for_a_spreadsheet(index: Path) -> None:
    figures = {path.name for path in (index.parent / "figures").iterdir()} - {"captions.md"}
    kinds = {name.rsplit(".", 1)[0] for name in figures}
    assert {kind.split("-")[0] for kind in kinds} >= {"answer", "performance", "fidelity", "resources"}
    assert figures == {f"{kind}.{form}" for kind in kinds for form in ("svg", "pdf", "png")}
    tables = {path.suffix for path in (index.parent / "tables").iterdir()}
    assert tables == {".csv", ".json", ".md", ".parquet", ".tex"}


@pytest.fixture(scope="module")
def trends(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of a history in which one setup became slower with another library."""
    runs = tmp_path_factory.mktemp("history")
    for number in range(8):
        place = Path(shutil.copytree(RUN, runs / f"run-{number}"))
        info = json.loads((place / "run.json").read_text())
        info["created_at"] = f"2026-01-{number + 1:02}T03:04:05+00:00"
        info["image"]["versions"]["libbpf"] = "1.5" if number < 4 else "1.6"
        (place / "run.json").write_text(json.dumps(info))
        for path in place.glob("trials/*libbpf*/record.json"):
            record = json.loads(path.read_text())
            record["fio"]["runtime_s"] *= (1 + 0.001 * (number % 3)) * (1.5 if number >= 4 else 1)
            path.write_text(json.dumps(record))
    argv = [sys.executable, "-m", "bpfbench", "history", str(runs)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return runs / "history.html"


def test_a_history_is_read_by_the_same_people(browser: Browser, trends: Path) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(trends.as_uri())
    page.evaluate(UNFOLD)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate(CUT) == []
    assert Axe().run(page).violations_count == 0
    assert page.locator("#steps tbody tr").filter(has_text="run-4").first.is_visible()
    page.locator("figure .mark").first.hover()
    assert "n = 2" in page.locator(".hint").inner_text()
    assert asked == [trends.as_uri()]
    page.close()
