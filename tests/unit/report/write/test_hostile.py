# SPDX-License-Identifier: Apache-2.0
"""What a host, a description, a reason or a version is called reaches no reader as anything but text, in any format."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

Invoke = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens:UserWarning")
RUNS = Path(__file__).parents[3] / "data" / "runs"

HOSTILE = (
    "EVIL<script>alert(1)</script>'\"><img src=x onerror=alert(1)> a|b *bold* _u_ [link](javascript:alert(1)) `code` "
    "[bold red]rich[/] \\input{/etc/passwd} \\write18{id} $x$ %c #h ~n ^ & {} \x1b]0;title\x07\x1b[2J\x9b31m\r\n"
    "# heading\n| row |\n</td></table> \u202eright \u2028line \ud800lone \x00nul"
)


@pytest.fixture
def run(tmp_path: Path) -> str:
    """A real run in which all that is free text is hostile."""
    path = Path(shutil.copytree(RUNS / "format-4", tmp_path / "run"))
    told = json.loads((path / "run.json").read_text())
    told["study"]["description"] = HOSTILE
    told["bpfbench_version"] = told["created_at"] = HOSTILE
    told["left_out"] = [HOSTILE]
    told["machine"] |= dict.fromkeys(("host", "kernel", "cpu_model", "distribution", "architecture"), HOSTILE)
    told["image"] |= {"name": HOSTILE, "suite": HOSTILE, "versions": {HOSTILE: HOSTILE}}
    (path / "run.json").write_text(json.dumps(told))
    for number, place in enumerate(sorted(path.glob("trials/*/record.json"))):
        record = json.loads(place.read_text())
        record["host"] = record["session"] = HOSTILE
        record["environment"]["kernel"] = HOSTILE
        record["notes"] = {HOSTILE: HOSTILE, "energy": HOSTILE, "calls": HOSTILE}
        for part in (record, *record["checks"]):
            part["detail" if "detail" in part else "reason"] = HOSTILE
        if number % 9 == 0:
            record["status"] = "failed" if number % 2 else "invalid"
        if record["summary"]:
            record["summary"]["unavailable"] = {HOSTILE: HOSTILE}
            record["summary"]["versions"] = {HOSTILE: HOSTILE}
        place.write_text(json.dumps(record))
    return str(path)


VERBS = ("summary", "status", "claims", "costs", "tradeoffs", "capacity", "recommend --rate 50k", "compare OTHER --all")


def said(invoke: Invoke, run: str, words: str) -> str:
    verb, *options = words.replace("OTHER", f"{run} {RUNS / 'format-4'}").split()
    status, out, err = invoke(verb, *([] if verb == "compare" else [run]), *options)
    assert status == 0, err
    assert harmless(err)
    return out


def harmless(text: str) -> bool:
    """Whether nothing of it is obeyed by a terminal, or cannot be written."""
    text.encode()
    return all(character.isprintable() for line in text.split("\n") for character in line)


@pytest.mark.parametrize("words", VERBS)
def test_a_terminal_is_told_text(invoke: Invoke, run: str, words: str) -> None:
    out = said(invoke, run, words)
    assert harmless(out)
    assert "EVIL" in out or not words.startswith(("summary", "status"))


@pytest.mark.parametrize("words", [*(f"{verb} --markdown" for verb in VERBS), "export --format markdown"])
def test_markdown_has_no_html_no_link_and_no_other_heading(invoke: Invoke, run: str, words: str) -> None:
    out = said(invoke, run, words)
    assert harmless(out)
    prose = re.sub(r"^(```+|~~~+).*?^\1", "", out, flags=re.MULTILINE | re.DOTALL)
    assert not re.search(r"<(script|img|/td|/table)", prose)
    assert not re.search(r"(?<!\\)\]\(javascript", prose)
    assert "# heading" not in [line.strip() for line in prose.splitlines()]
    for table in re.findall(r"(?:^\|.*\n)+", prose, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1


@pytest.mark.parametrize("words", [f"{verb} --json" for verb in VERBS])
def test_json_says_what_it_was_and_has_nothing_that_is_obeyed(invoke: Invoke, run: str, words: str) -> None:
    out = said(invoke, run, words)
    assert harmless(out)
    assert HOSTILE.replace("\ud800", "?") in texts(json.loads(out)) or "EVIL" not in out


def texts(data: Any) -> set[str]:
    if isinstance(data, dict):
        return set(data) | {text for value in data.values() for text in texts(value)}
    if isinstance(data, list):
        return {text for value in data for text in texts(value)}
    return {data} if isinstance(data, str) else set()


@pytest.mark.parametrize("words", ["summary --csv", "export --format csv"])
def test_csv_has_a_row_for_each_row(invoke: Invoke, run: str, words: str) -> None:
    out = said(invoke, run, words)
    assert harmless(out)
    header, *rows = csv.reader(io.StringIO(out, newline=""))
    assert {len(row) for row in rows} == {len(header)}


@pytest.mark.parametrize("words", ["export --format latex", "export --format artifact-latex"])
def test_latex_runs_nothing(invoke: Invoke, run: str, words: str) -> None:
    out = said(invoke, run, words)
    assert out.isascii()
    assert harmless(out)
    shown = re.sub(r"\\begin\{(verbatim|lstlisting)\}.*?\\end\{\1\}", "", out, flags=re.DOTALL)
    assert not re.search(r"\\(input|write|include|immediate)", shown)
    assert "EVIL" in shown
    for found in re.findall(r"\\begin\{verbatim\}(.*?)\\end\{verbatim\}", out, re.DOTALL):
        assert "\\end" not in found


class Tags(HTMLParser):
    """What a browser makes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.found: list[tuple[str, list[tuple[str, str | None]]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] == "script":
            self.scripts.append(data)


def test_a_page_has_no_script_and_no_picture_of_theirs(invoke: Invoke, run: str, tmp_path: Path) -> None:
    status, _, err = invoke("report", run, "--output", str(tmp_path / "page"))
    assert status == 0, err
    assert harmless(err)
    page = Tags()
    page.feed((tmp_path / "page" / "index.html").read_text())
    assert not [attrs for tag, attrs in page.found if tag == "img" and ("src", "x") in attrs]
    assert not [name for _, attrs in page.found for name, _ in attrs if name.startswith("on")]
    assert not [
        value for _, attrs in page.found for name, value in attrs if name == "href" and "javascript" in str(value)
    ]
    assert "alert(1)" not in page.scripts
    assert "EVIL" in (tmp_path / "page" / "index.html").read_text()
    for path in (tmp_path / "page").rglob("*.svg"):
        assert "<script" not in path.read_text()
    for path in (tmp_path / "page").rglob("*.tex"):
        assert not re.search(r"\\(input|write)\b", path.read_text())
