# SPDX-License-Identifier: Apache-2.0
"""export, of a recorded run."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from bpfbench.analysis import results
from bpfbench.analysis.table import tidy
from bpfbench.cli.export import FORMATS, export
from bpfbench.errors import UsageError
from bpfbench.store import Run

RUN = Path(__file__).parents[2] / "data" / "runs" / "format-2"


class TestVerb:
    @pytest.mark.parametrize("form", FORMATS)
    def test_every_format_of_a_recorded_run(
        self, form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert export(str(RUN), format_=form) == 0
        printed = capsys.readouterr().out
        assert export(str(RUN), format_=form, output=tmp_path / "out") == 0
        assert (tmp_path / "out").read_text() == printed
        assert len(printed) > 100

    def test_parquet_is_the_tidy_table(self, tmp_path: Path) -> None:
        export(str(RUN), format_="parquet", output=tmp_path / "run.parquet")
        run = Run(RUN)
        assert pl.read_parquet(tmp_path / "run.parquet").equals(tidy(results.load(run)))

    def test_what_cannot_be_carried_out_is_told(self) -> None:
        with pytest.raises(UsageError, match="parquet") as told:
            export(str(RUN), format_="parket")
        assert "--format" in told.value.message
        with pytest.raises(UsageError) as told:
            export(str(RUN), format_="parquet")
        assert told.value.hint == "give --output FILE"
