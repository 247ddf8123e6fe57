# SPDX-License-Identifier: Apache-2.0
"""report: where it writes to, and what."""

from __future__ import annotations

from pathlib import Path

import pytest
from invoked import Invoke

pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens:UserWarning")
RUN = Path(__file__).parents[2] / "data" / "runs" / "format-4"


@pytest.mark.parametrize("inside", ["", "deeper"], ids=["a file", "below a file"])
def test_a_place_that_cannot_be_written_to_is_refused_before_anything_is_worked_out(
    bpfbench: Invoke, tmp_path: Path, inside: str
) -> None:
    (tmp_path / "file").write_text("mine")
    done = bpfbench("report", str(RUN), "--output", str(tmp_path / "file" / inside))
    assert done.status == 1
    assert done.out == ""
    assert "choose another --output" in done.err
    assert "…" not in done.err
    assert (tmp_path / "file").read_text() == "mine"


def test_figures_for_print_are_drawn_where_they_are_asked_for(bpfbench: Invoke, tmp_path: Path) -> None:
    done = bpfbench("report", str(RUN), "--output", str(tmp_path / "report"), "--figures")
    assert done.status == 0, done.err
    assert str(tmp_path / "report" / "figures") in done.out
    made = {path.suffix for path in (tmp_path / "report" / "figures").iterdir()}
    assert made == {".svg", ".pdf", ".png", ".md"}
