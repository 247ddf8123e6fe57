# SPDX-License-Identifier: Apache-2.0
"""The tutorial, as somebody types it: every word that it shows is printed; and the site has that run.

The site is left in build/guide.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pages
import pytest
import transcripts

TOP = Path(__file__).parents[2]
LEFT = TOP / "build" / "guide"


@pytest.mark.usefixtures("trixie")
def test_the_tutorial_can_be_typed_and_the_site_is_of_its_run(tmp_path: Path) -> None:
    for step in transcripts.steps((TOP / "docs" / "tutorial.md").read_text()):
        printed = transcripts.typed(step, tmp_path)
        assert transcripts.unlike(step, printed) is None, f"{step.command}\n" + "\n".join(printed)
    run = tmp_path / "runs" / "first"
    shutil.rmtree(LEFT, ignore_errors=True)
    LEFT.mkdir(parents=True)
    pages.lay_out(LEFT, run)
    assert pages.build(LEFT) == 0
    info = json.loads((run / "run.json").read_text())
    for built in ("pictures/summary.svg", "sample-report/index.html"):
        said = (LEFT / "site" / built).read_text().replace("&#160;", " ")
        assert re.search(info["created_at"][:16].replace("T", "[T ]"), said)  # the page writes minutes, for people
        assert f"({info['machine']['cpus']} CPU" in said
