# SPDX-License-Identifier: Apache-2.0
"""The site: it builds, every internal link leads somewhere, every page can be found, and says what it is good for.

What pages say that commands print of stored runs is what they print.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pages
import picture
import pytest
import reference
import transcripts
from transcripts import Step

from bpfbench.catalogue import MAIN_SETUPS
from bpfbench.cli import VERBS
from bpfbench.factors import STUDY

TOP = Path(__file__).parents[2]
DOCS = sorted((TOP / "docs").rglob("*.md"))
READ_AS_THEY_ARE = [*sorted(TOP.glob("*.md")), *DOCS, TOP / "src" / "bpfbench" / "tracers" / "README.md"]
TYPED = [
    step
    for page in ("docs/interpreting.md", "docs/tutorial.md")
    for step in transcripts.steps((TOP / page).read_text())
]
OF_STORED_RUNS = [step for step in TYPED if step.stored]
MEASURED = [step for step in TYPED if not step.stored]


def named_in(navigation: object) -> set[str]:
    """Return the pages of a navigation, whatever their depth."""
    if isinstance(navigation, str):
        return {navigation}
    parts = navigation.values() if isinstance(navigation, dict) else navigation
    return {page for part in parts for page in named_in(part)}  # type: ignore[attr-defined]


def test_the_site_builds_and_every_internal_link_of_it_leads_somewhere(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pages.lay_out(tmp_path / "site")
    status = pages.build(tmp_path / "site")
    assert status == 0, capfd.readouterr().err
    built = "".join(path.read_text() for path in (tmp_path / "site" / "site").rglob("*.html"))
    assert not re.findall(r'(?:src|href)="https?://[^"]*\.(?:js|css)"', built)  # it needs no network
    assert 'src="pictures/summary.svg"' in (tmp_path / "site" / "site" / "index.html").read_text()


def test_the_picture_of_a_terminal_is_what_is_printed_of_the_stored_run() -> None:
    """It is drawn anew by `python guide/picture.py`."""
    drawn = (TOP / picture.PLACE).read_text()
    assert drawn == picture.of(TOP / picture.STORED)
    assert not re.findall(r"url\((?!#)", drawn)  # it fetches nothing
    for words in ("host vm (2 CPUs", "2026-11-28T09:18:48", "vanilla", "Which setup for which need", "--resume quick "):
        assert words.replace(" ", "&#160;") in drawn


def test_a_link_without_an_end_is_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "zensical.toml").write_text('[project]\nsite_name = "a site"\n')
    (tmp_path / "docs" / "index.md").write_text("# Here\n\n[there](nowhere.md), [here](index.md#below)\n")
    assert pages.build(tmp_path) != 0
    told = re.sub(r"\x1b\[[\d;]*m", "", capfd.readouterr().err)
    assert "page does not exist" in told
    assert "anchor does not exist" in told


@pytest.mark.parametrize("page", READ_AS_THEY_ARE, ids=lambda page: str(page.relative_to(TOP)))
def test_every_internal_link_leads_somewhere_in_the_repository_too(page: Path) -> None:
    """A forge shows a page as it is, and an anchor's end is what the site's build looks for."""
    assert [link[1] for link in pages.LINK.finditer(page.read_text()) if not (page.parent / link[1]).exists()] == []


def test_every_page_is_in_the_navigation() -> None:
    named = named_in(tomllib.loads((TOP / "zensical.toml").read_text())["project"]["nav"])
    written = {page.relative_to(TOP / "docs").as_posix() for page in DOCS}
    assert named == written | set(pages.ELSEWHERE.values()) | set(pages.SAMPLE.values()) | set(reference.pages())


def test_of_a_page_without_the_sample_the_link_there_is_left_out() -> None:
    made = pages.ELSEWHERE | pages.FRONT | pages.MADE
    text = "[a run](../tests/data/runs/quick), [contract](../src/bpfbench/tracers/README.md#rules)"
    there = "[contract](reference/tracer-contract.md#rules)"
    assert pages.relinked(text, "index.md", TOP, made, set()) == f"a run, {there}"
    linked = f"[a run](sample-report/index.html), {there}"
    assert pages.relinked(text, "index.md", TOP, made | pages.SAMPLE, set()) == linked


@pytest.mark.parametrize(
    "page", [*DOCS, *(TOP / page for page in pages.ELSEWHERE)], ids=lambda page: str(page.relative_to(TOP))
)
def test_a_page_begins_with_what_its_reader_will_know(page: Path) -> None:
    title, blank, opening = page.read_text().split("\n")[:3]
    assert title.startswith("# ")
    assert not blank
    assert opening.startswith("> After this page you ")
    assert not re.findall(r"^#\d.*", page.read_text(), re.MULTILINE)  # an issue's number, which would be a heading


def test_every_key_of_a_study_and_every_verb_are_in_the_reference() -> None:
    made = reference.pages()
    assert {key.name for key in STUDY} <= set(re.findall(r"^\| `(\w+)`", made["reference/study-keys.md"], re.MULTILINE))
    assert "## bpfbench run\n" in made["reference/cli.md"]


def test_every_verb_is_in_the_guide_as_it_is_typed() -> None:
    typed = re.findall(r"^    (?:sudo )?bpfbench (\w+)", (TOP / "docs" / "guide.md").read_text(), re.MULTILINE)
    assert set(VERBS) - set(typed) == set()


def test_what_each_library_does_for_each_knob_is_in_the_reference() -> None:
    made = reference.pages()["reference/knobs.md"]
    assert "### `wakeup` of ebpf-go\n" in made
    assert "It has none: bpftrace makes one ring, whatever a script prints.\n" in made
    assert {setup.name for setup in MAIN_SETUPS.values()} - {"ebpf-go@0.22"} == set(
        re.findall(r"^## (.+)", made, re.MULTILINE)
    )


@pytest.fixture(scope="module")
def printed() -> Callable[[str], list[str]]:
    """Run a command of a page on the runs that are stored, once, and return the lines that it prints."""
    return cache(lambda command: transcripts.typed(Step(command, ()), TOP))


@pytest.mark.parametrize("step", OF_STORED_RUNS, ids=lambda step: f"{step.command}: {step.printed[1]}")
def test_what_a_page_says_of_stored_runs_is_what_is_printed(step: Step, printed: Callable[[str], list[str]]) -> None:
    assert transcripts.missing(step.printed, printed(step.command)) is None


@pytest.fixture(scope="module")
def vocabulary() -> set[str]:
    """Return every word of a text that the code has, and of the commands that pages have."""
    words = set(re.findall(r"[A-Za-z]+", " ".join(step.command for step in TYPED)))
    for path in (TOP / "src" / "bpfbench").rglob("*.py"):
        tree = ast.parse(path.read_text())
        told = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # of docstrings
        texts = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and node not in told)
        words |= {word for text in texts if isinstance(text.value, str) for word in re.findall("[A-Za-z]+", text.value)}
    return words


@pytest.mark.parametrize("step", MEASURED, ids=lambda step: step.command)
def test_every_word_that_a_page_shows_of_what_is_measured_is_in_the_code(step: Step, vocabulary: set[str]) -> None:
    shown = " ".join(transcripts.masked((line,)) for line in step.printed)
    assert set(re.findall("[A-Za-z]+", shown)) - vocabulary == set()


def test_shares_that_the_tutorial_tells_are_those_that_it_shows() -> None:
    text = (TOP / "docs" / "tutorial.md").read_text()
    shown = set(re.findall(r"[\d.]+ %", " ".join(transcripts.BLOCK.findall(text))))
    assert set(re.findall(r"[\d.]+\s%", transcripts.BLOCK.sub("", text))) - shown == {"95 %"}


def test_a_transcript_has_commands_and_what_they_print() -> None:
    page = "text\n\n```console\n$ a \\\n    b\none\n…\n$ c\n```\n"
    assert list(transcripts.steps(page)) == [Step("a b", ("one", "…")), Step("c", ())]


@pytest.mark.parametrize(
    ("said", "printed", "first_missing"),
    [
        (["a", "b"], ["a", "b", "c"], None),
        (["a", "c"], ["a", "b", "c"], "c"),
        (["a", "…", "c"], ["a", "b", "c"], None),
        (["b"], ["a", "b"], "b"),
        (["…", "b", "c"], ["b", "d", "b", "c"], None),
        (["…", "b", "c"], ["a", "b", "d"], "c"),
    ],
)
def test_a_line_that_is_not_printed_is_noticed(said: list[str], printed: list[str], first_missing: str | None) -> None:
    assert transcripts.missing(said, printed) == first_missing


PRINTED = """\
What this machine can measure
      what  found  what to do
─────────────────────────────
note  CPUs  2      monitors share
                   all of them
ok    BTF   the kernel's own types

2026-11-28 11:18:36 1/18 r1: 952 MiB/s, saved 90.4 % (3.4 s), about 64 s left
dd: 12 calls intercepted (7 read, 5 write), none lost

setup    n  runtime
libbpf   4  0.7 ± 0.2
           +23.3 % ~
  - Saved: most libbpf 93.57 %; certainly less
    bcc 55.00 %.
  - Runtime cannot be told from vanilla's.
  - Noise: vanilla varied by ± 38 % here.
Results: runs/first
"""


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("2      monitors share", "96     monitors share"),
        ("2026-11-28 11:18:36 1/18 r1: 952 MiB/s", "2027-01-02 03:04:05 1/24 r7: 1012 MiB/s"),
        ("about 64 s left", "about 2 min left"),
        ("(7 read, 5 write)", "(8 read, 15 write)"),
        ("0.7 ± 0.2", "10.71 ± 0.02"),
        ("+23.3 % ~", "-3 %"),
        ("Saved: most libbpf 93.57 %; certainly less\n    bcc 55.00 %.", "Saved: all 100.00 %."),
        ("  - Noise", "  - Latency cannot be judged.\n  - Noise"),
        ("note  CPUs  2      monitors share\n                   all of them", "ok    CPUs  96"),
    ],
)
def test_what_commands_measure_may_differ_from_a_page(was: str, now: str) -> None:
    assert was in PRINTED
    assert transcripts.missing_words(PRINTED.splitlines(), PRINTED.replace(was, now).splitlines()) is None


@pytest.mark.parametrize(
    ("was", "now", "first_missing"),
    [
        ("monitors share", "monitors take", "note  CPUs  2      monitors share"),
        ("ok    BTF ", "ok    BTFs", "ok    BTF   the kernel's own types"),
        ("own types", "types", "ok    BTF   the kernel's own types"),
        ("saved 90.4", "kept 90.4", "2026-11-28 11:18:36 1/18 r1: 952 MiB/s, saved 90.4 % (3.4 s), about 64 s left"),
        ("none lost", "all kept", "dd: 12 calls intercepted (7 read, 5 write), none lost"),
        ("n  runtime", "n  latency", "setup    n  runtime"),
        ("+23.3 % ~", "+23.3 ~", "libbpf   4  0.7 ± 0.2"),
        ("- Saved", "- Kept", "  - Saved: most libbpf 93.57 %; certainly less"),
        ("Results: ", "A line more\nResults: ", "Results: runs/first"),
    ],
)
def test_of_what_commands_measure_a_changed_word_is_noticed(was: str, now: str, first_missing: str) -> None:
    assert was in PRINTED
    assert transcripts.missing_words(PRINTED.splitlines(), PRINTED.replace(was, now).splitlines()) == first_missing


def test_a_page_is_written_anew_from_what_is_printed() -> None:
    page = "text\n\n```console\n$ a \\\n    b\n…\nlibbpf   3  0.9 ± 0.1\n           +1.0 %\n{}\n…\n```\nmore\n"
    was, now = page.format("Result: runs/first"), page.format("Results: runs/first")
    fresh = now.replace("libbpf   3  0.9 ± 0.1\n           +1.0 %", "libbpf   4  0.7 ± 0.2\n           +23.3 % ~")
    with pytest.raises(ValueError, match="a b: nothing is printed like: Result: runs/first"):
        transcripts.rewritten(was, lambda _: PRINTED.splitlines())
    rest = [line for line in PRINTED.splitlines() if not line.startswith(("  - ", "    bcc"))]
    assert transcripts.rewritten(was, lambda _: rest) == fresh
    assert transcripts.rewritten(was, lambda _: None) == was
