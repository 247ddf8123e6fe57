# SPDX-License-Identifier: Apache-2.0
"""The tutorial and the README, as somebody types them: every word that they show is printed; and the site has that run.

It takes minutes, and tries nothing that others do not: only with --all.
"""

from __future__ import annotations

import json
from pathlib import Path

import pages
import pytest
import transcripts

TOP = Path(__file__).parents[2]


@pytest.mark.usefixtures("trixie")
def test_the_tutorial_can_be_typed_and_the_site_is_of_its_run(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--all"):
        pytest.skip("only with --all")
    for page in (TOP / "docs" / "tutorial.md", TOP / "README.md"):
        for step in transcripts.steps(page.read_text()):
            printed = transcripts.typed(step, tmp_path)
            assert transcripts.unlike(step, printed) is None, f"{step.command}\n" + "\n".join(printed)
    run = tmp_path / "runs" / "first"
    pages.lay_out(tmp_path / "guide", run)
    assert pages.build(tmp_path / "guide") == 0
    info = json.loads((run / "run.json").read_text())
    for built in ("pictures/summary.svg", "sample-report/index.html"):
        said = (tmp_path / "guide" / "site" / built).read_text().replace("&#160;", " ")
        assert info["created_at"] in said
        assert f"({info['machine']['cpus']} CPU" in said
