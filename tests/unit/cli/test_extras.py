# SPDX-License-Identifier: Apache-2.0
"""bpfbench without its extras: what wants one says which, and all else works."""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
from importlib.machinery import ModuleSpec
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path

import pytest

from bpfbench.cli import extras
from bpfbench.cli.export import export
from bpfbench.cli.report import report
from bpfbench.errors import UsageError

TOP = Path(__file__).parents[3]
WANTED = "'matplotlib<4,>=3.10' 'polars<2,>=1.20'"
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


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have bpfbench installed in an environment of an ordinary user's."""
    environment = tmp_path / "venvs" / "bpfbench"
    environment.mkdir(parents=True)
    if os.geteuid() == 0:
        os.chown(environment, 65534, 65534)
    monkeypatch.setattr(sys, "prefix", str(environment))
    monkeypatch.setattr(sys, "executable", str(environment / "bin" / "python"))
    return environment


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have what was installed say that it is bpfbench, from a directory that is returned."""
    source, about = tmp_path / "my clone", tmp_path / "bpfbench-0.1.0.dist-info"
    source.mkdir()
    about.mkdir()
    (about / "METADATA").write_text(
        "Metadata-Version: 2.4\nName: bpfbench\nVersion: 0.1.0\n"
        "Requires-Dist: rich<16,>=15\n"
        "Requires-Dist: ruptures<2,>=1.1.10; (python_version < '3.14') and extra == 'history'\n"
        "Requires-Dist: matplotlib<4,>=3.10; extra == 'report'\n"
        "Requires-Dist: polars<2,>=1.20; extra == 'report'\n"
    )
    (about / "direct_url.json").write_text(json.dumps({"url": source.as_uri(), "dir_info": {}}))
    monkeypatch.setattr(Distribution, "from_name", lambda _: Distribution.at(about))
    return source


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
    assert f"left out: trials.parquet: matplotlib is not installed: {extras.hint('report')}" in capsys.readouterr().err


@pytest.mark.usefixtures("core")
def test_what_cannot_be_done_without_them_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="option --figures wants matplotlib, which is not installed") as told:
        report(RUN, output=tmp_path / "report", figures=True)
    assert told.value.hint == extras.hint("report")
    with pytest.raises(UsageError, match="the format csv wants"):
        export(RUN, format_="csv")
    assert export(RUN, format_="markdown", output=tmp_path / "out") == 0


@pytest.mark.usefixtures("core", "installed")
def test_where_pip_is_it_installs_what_is_missing(prefix: Path) -> None:
    assert extras.hint("report") == f"{prefix}/bin/python -m pip install {WANTED}"
    assert extras.hint("history").endswith("-m pip install 'ruptures<2,>=1.1.10'") or sys.version_info >= (3, 14)


@pytest.mark.usefixtures("installed")
def test_where_no_pip_is_uv_does(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    assert extras.hint("report") == f"uv pip install --python {prefix}/bin/python {WANTED}"


@pytest.mark.usefixtures("core", "installed")
def test_where_pipx_installed_it_pipx_adds_to_that(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (prefix / "pipx_metadata.json").touch()
    assert extras.hint("report") == f"pipx inject bpfbench {WANTED}"
    monkeypatch.setattr(extras, "GLOBAL", prefix.parents[1])
    assert extras.hint("report") == f"pipx inject --global bpfbench {WANTED}"


@pytest.mark.usefixtures("core")
def test_where_uv_installed_it_that_is_done_again_with_the_extra(prefix: Path, installed: Path) -> None:
    (prefix / "uv-receipt.toml").touch()
    assert extras.hint("report") == f"uv tool install '{installed}[report]'"
    installed.rmdir()
    assert extras.hint("report") == "install the extra `report`: see `bpfbench docs install`"


def test_uv_keeps_the_extras_that_are_there(prefix: Path, installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (prefix / "uv-receipt.toml").touch()
    there = {"optuna"}
    monkeypatch.setattr(extras, "find_spec", lambda name: ModuleSpec(name, None) if name in there else None)
    assert extras.hint("report") == f"uv tool install '{installed}[report,tune]'"


@pytest.mark.usefixtures("core", "installed")
def test_whose_environment_is_roots_is_told_to_use_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", "/usr")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert extras.hint("report") == f"sudo {sys.executable} -m pip install {WANTED}"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("SUDO_UID", "1000")
    assert extras.hint("report").startswith("sudo ")
    monkeypatch.delenv("SUDO_UID")
    assert not extras.hint("report").startswith("sudo ")


def test_where_it_is_not_installed_at_all_a_page_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: str) -> Distribution:
        raise PackageNotFoundError

    monkeypatch.setattr(Distribution, "from_name", absent)
    assert extras.hint("report") == "install the extra `report`: see `bpfbench docs install`"
