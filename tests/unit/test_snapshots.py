# SPDX-License-Identifier: Apache-2.0
"""What every verb that reads prints and writes of stored runs, byte for byte; the runs are real ones of each format.

`pytest tests/unit/test_snapshots.py --freeze` writes what is said now; the diff of tests/data/snapshots is then to be
read and explained in the commit. Of what is drawn, and of libraries within a page, only a hash is kept.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from bpfbench.machine import facts
from bpfbench.model import Attach

pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens:UserWarning")
DATA = Path(__file__).parents[1] / "data"
RUNS = ("format-1", "format-2", "format-3", "format-4", "format-5")
FORMATS = ("bencher", "github-benchmark", "csv", "markdown", "latex", "artifact", "artifact-latex")
OF_A_RUN = (
    "summary",
    "summary --json",
    "summary --csv",
    "summary --markdown",
    "status",
    "status --json",
    "claims",
    "claims --json",
    "claims --markdown",
    "costs",
    "costs --json",
    "tradeoffs",
    "tradeoffs --json",
    "capacity",
    "capacity --json",
    "recommend --rate 50k",
    "recommend --rate 50k --json",
    "recommend --rate 50k --markdown",
    "recommend --rate 20k --min-fidelity 90 --max-overhead 50 --prefer memory",
    *(f"export --format {name}" for name in FORMATS),
)
OF_TWO_RUNS = ("compare", "compare --json", "compare --markdown")
PAIRS = (("format-1", "format-2"), ("format-2", "format-3"), ("format-3", "format-4"), ("format-4", "format-4"))
OF_NONE = (
    "list",
    "list --json",
    *(f"plan {study}{how}" for study in ("smoke", "quick", "standard", "paper", "fairness") for how in ("", " --json")),
    "claims --paper",
    "claims --paper --json",
    "claims --paper --markdown",
)
KEPT_AS_TEXT = {".md", ".csv", ".tex", ".toml"}
LONGEST_SCRIPT = 2_000

Invoke = Callable[..., tuple[int, str, str]]
Frozen = Callable[[str, str], None]


@pytest.fixture
def frozen(request: pytest.FixtureRequest) -> Frozen:
    """Compare a text with the snapshot of that name, or write it."""

    def compare(name: str, text: str) -> None:
        path = DATA / "snapshots" / name
        if request.config.getoption("--freeze"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert text == path.read_text(), f"{path} says otherwise; where that is meant, --freeze writes what is said now"

    return compare


def named(words: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", words.replace("%", "")).strip("-") + ".txt"


def said(invoke: Invoke, *words: str) -> str:
    status, out, err = invoke(*words)
    return f"{out}--- stderr\n{err}--- status {status}\n"


@pytest.fixture(autouse=True)
def where_runs_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand beside the stored runs, on a machine whose kernel has tracepoints only, whoever asks it."""
    monkeypatch.chdir(DATA)
    monkeypatch.setattr(facts, "hooks", lambda: frozenset({Attach.TRACEPOINT}))


@pytest.mark.parametrize("words", OF_A_RUN)
@pytest.mark.parametrize("run", RUNS)
def test_what_is_said_of_a_run(invoke: Invoke, frozen: Frozen, run: str, words: str) -> None:
    verb, *options = words.split()
    frozen(f"{run}/{named(words)}", said(invoke, verb, f"runs/{run}", *options))


@pytest.mark.parametrize("words", OF_TWO_RUNS)
@pytest.mark.parametrize("pair", PAIRS, ids="+".join)
def test_what_is_said_of_two_runs(invoke: Invoke, frozen: Frozen, pair: tuple[str, str], words: str) -> None:
    verb, *options = words.split()
    frozen(f"{'+'.join(pair)}/{named(words)}", said(invoke, verb, *(f"runs/{run}" for run in pair), *options))


@pytest.mark.parametrize("words", OF_NONE)
def test_what_is_said_without_a_run(invoke: Invoke, frozen: Frozen, words: str) -> None:
    frozen(f"none/{named(words)}", said(invoke, *words.split()))


@pytest.mark.parametrize("run", RUNS)
def test_the_report(invoke: Invoke, frozen: Frozen, run: str, tmp_path: Path) -> None:
    status, _, err = invoke("report", f"runs/{run}", "--output", str(tmp_path / "report"))
    assert status == 0, err
    drawn = []
    for path in sorted((tmp_path / "report").rglob("*")):
        name = str(path.relative_to(tmp_path / "report"))
        if path.suffix in KEPT_AS_TEXT:
            frozen(f"{run}/report/{name}", path.read_text())
        elif path.suffix == ".svg":
            drawn.append(f"{hashed(path.read_bytes())} {name}")
        elif path.suffix:
            drawn.append(f"{' ' * 16} {name}")
    frozen(f"{run}/report/drawn.txt", "\n".join(drawn) + "\n")
    frozen(f"{run}/report/index.html", without_libraries((tmp_path / "report" / "index.html").read_text()))


def hashed(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def without_libraries(page: str) -> str:
    """A page with a hash in the place of what is long and written for machines."""

    def short(found: re.Match[str]) -> str:
        text = found[0]
        kept = len(text) < LONGEST_SCRIPT and found[1] != "svg"
        return text if kept else f"<!-- {hashed(text.encode())} -->"

    page = re.sub(r'(?<="data:)[^"]+', "", page)
    return re.sub(r"<(script|svg|style)\b.*?</\1>", short, page, flags=re.DOTALL)
