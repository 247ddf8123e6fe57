# SPDX-License-Identifier: Apache-2.0
"""The site: it builds, every link leads somewhere, every page can be found, and says what it is good for.

What pages say that commands print of stored runs is what they print.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pages
import pytest
import reference
import transcripts
from transcripts import Step

from bpfbench.catalogue import MAIN_SETUPS
from bpfbench.factors import STUDY

TOP = Path(__file__).parents[2]
DOCS = sorted((TOP / "docs").rglob("*.md"))
READ_AS_THEY_ARE = [*sorted(TOP.glob("*.md")), *DOCS, TOP / "src" / "bpfbench" / "tracers" / "README.md"]
ON_THE_SITE = [page for page in DOCS if page.parent.name != "pictures"]
OF_STORED_RUNS = [
    step for step in transcripts.steps((TOP / "docs" / "interpreting.md").read_text()) if step.command.startswith("bpf")
]


def named_in(navigation: object) -> set[str]:
    """Return the pages of a navigation, whatever their depth."""
    if isinstance(navigation, str):
        return {navigation}
    parts = navigation.values() if isinstance(navigation, dict) else navigation
    return {page for part in parts for page in named_in(part)}  # type: ignore[attr-defined]


def test_the_site_builds_and_every_link_of_it_leads_somewhere(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pages.lay_out(tmp_path / "site")
    status = pages.build(tmp_path / "site")
    assert status == 0, capfd.readouterr().err
    built = "".join(path.read_text() for path in (tmp_path / "site" / "site").rglob("*.html"))
    assert not re.findall(r'(?:src|href)="https?://[^"]*\.(?:js|css)"', built)  # it needs no network


def test_a_link_without_an_end_is_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "zensical.toml").write_text('[project]\nsite_name = "a site"\n')
    (tmp_path / "docs" / "index.md").write_text("# Here\n\n[there](nowhere.md), [here](index.md#below)\n")
    assert pages.build(tmp_path) != 0
    told = re.sub(r"\x1b\[[\d;]*m", "", capfd.readouterr().err)
    assert "page does not exist" in told
    assert "anchor does not exist" in told


@pytest.mark.parametrize("page", READ_AS_THEY_ARE, ids=lambda page: str(page.relative_to(TOP)))
def test_every_link_leads_somewhere_in_the_repository_too(page: Path) -> None:
    """A forge shows a page as it is, and an anchor's end is what the site's build looks for."""
    assert [link[1] for link in pages.LINK.finditer(page.read_text()) if not (page.parent / link[1]).exists()] == []


def test_every_page_is_in_the_navigation() -> None:
    named = named_in(tomllib.loads((TOP / "zensical.toml").read_text())["project"]["nav"])
    written = {page.relative_to(TOP / "docs").as_posix() for page in ON_THE_SITE}
    assert named == written | set(pages.ELSEWHERE.values()) | set(reference.pages())


@pytest.mark.parametrize("page", ON_THE_SITE, ids=lambda page: page.name)
def test_a_page_begins_with_what_its_reader_will_know(page: Path) -> None:
    title, blank, opening = page.read_text().split("\n")[:3]
    assert title.startswith("# ")
    assert not blank
    assert page.name == "index.md" or opening.startswith("> After this page you ")
    assert not re.findall(r"^#\d.*", page.read_text(), re.MULTILINE)  # an issue's number, which would be a heading


def test_every_key_of_a_study_and_every_verb_are_in_the_reference() -> None:
    made = reference.pages()
    assert {key.name for key in STUDY} <= set(re.findall(r"^\| `(\w+)`", made["reference/study-keys.md"], re.MULTILINE))
    assert "## bpfbench run\n" in made["reference/cli.md"]


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

    @cache
    def run(command: str) -> list[str]:
        argv = [sys.executable, "-m", *shlex.split(command), "--runs-dir", str(TOP / "tests" / "data" / "runs")]
        wide = os.environ | {"COLUMNS": "100"}
        return subprocess.run(argv, capture_output=True, text=True, check=True, env=wide).stdout.splitlines()

    return run


@pytest.mark.parametrize("step", OF_STORED_RUNS, ids=lambda step: f"{step.command}: {step.printed[1]}")
def test_what_a_page_says_of_stored_runs_is_what_is_printed(step: Step, printed: Callable[[str], list[str]]) -> None:
    assert transcripts.missing(step.printed, printed(step.command)) is None


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


@pytest.mark.parametrize(
    ("said", "first_missing"),
    [
        (["- Lowest overhead: undecided", "    of 3 rounds", "libbpf  6  0.3 ± 0.1"], None),
        (["libbpf  6  0.3", "- Lowest overhead: bcc"], "- Lowest overhead: bcc"),
        (["libbpf  runtime  latency"], None),
        (["- Highest fidelity: bcc"], "- Highest fidelity: bcc"),
    ],
)
def test_what_commands_measure_may_differ_in_numbers_alone(said: list[str], first_missing: str | None) -> None:
    printed = ["  - Lowest overhead: bcc", "libbpf  4  0.7 ± 0.2"]
    assert transcripts.missing_label(said, printed) == first_missing
