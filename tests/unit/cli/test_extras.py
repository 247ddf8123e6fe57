# SPDX-License-Identifier: Apache-2.0
"""bpfbench without its extras: what wants one says which, and all else works."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from bpfbench.cli import extras
from bpfbench.cli.export import export
from bpfbench.cli.report import report
from bpfbench.errors import UsageError

TOP = Path(__file__).parents[3]
RUN = str(TOP / "tests" / "data" / "runs" / "format-2")


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nothing installed but the core."""

    def found(name: str) -> ModuleSpec | None:
        return None if any(name in modules for modules in extras.EXTRAS.values()) else ModuleSpec(name, None)

    monkeypatch.setattr(extras, "find_spec", found)
    for name in ("polars", "matplotlib"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "bpfbench.analysis.table", raising=False)


def test_extras_are_those_of_the_package() -> None:
    declared = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extra, modules in extras.EXTRAS.items():
        named = {re.split("[<>=]", requirement)[0] for requirement in declared[extra]}
        assert set(modules) <= named
    assert extras.EXTRAS.keys() == declared.keys()


@pytest.mark.usefixtures("core")
def test_a_page_is_made_without_them_and_says_what_it_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(RUN, output=tmp_path / "report") == 0
    assert (tmp_path / "report" / "index.html").is_file()
    assert not (tmp_path / "report" / "tables" / "trials.parquet").exists()
    assert "left out: trials.parquet: matplotlib is not installed: pip install 'bpfbench[report]'" in (
        capsys.readouterr().err
    )


@pytest.mark.usefixtures("core")
def test_what_cannot_be_done_without_them_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="option --figures wants matplotlib, which is not installed") as told:
        report(RUN, output=tmp_path / "report", figures=True)
    assert told.value.hint == "pip install 'bpfbench[report]'"
    with pytest.raises(UsageError, match="the format csv wants"):
        export(RUN, format_="csv")
    assert export(RUN, format_="markdown", output=tmp_path / "out") == 0
