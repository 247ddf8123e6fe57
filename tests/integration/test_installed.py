# SPDX-License-Identifier: Apache-2.0
"""bpfbench installed from its wheel, without extras, in an environment of its own, by an ordinary user."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.beside

TOP = Path(__file__).parents[2]
NOBODY = 65534
CORE_MOST_BYTES = 250 * 10**6


def everybodys_python() -> str:
    """Return a Python that an ordinary user may execute, and that makes environments."""
    for name in (sys.executable, "/usr/bin/python3"):
        argv = (name, "-c", "import ensurepip, sys; sys.exit(sys.version_info < (3, 11))")
        try:
            if subprocess.run(argv, user=NOBODY, group=NOBODY, extra_groups=(), check=False).returncode == 0:
                return name
        except OSError:
            continue
    pytest.skip("nobody else may execute a Python that makes environments")


@pytest.fixture(scope="module")
def environment(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Return an environment that has the wheel and what it requires, and pip no more."""
    if not request.config.getoption("--all"):
        pytest.skip("for scripts/test --all: installs some 100 MB")
    if os.geteuid() != 0:
        pytest.skip("becoming an ordinary user needs root")
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        place.chmod(0o755)
        # By pip, in an environment that has what pyproject.toml says that building takes, and no more.
        wheel = ("wheel", "-q", "--no-deps", "--wheel-dir", made, str(TOP))
        subprocess.run((sys.executable, "-m", "pip", "--disable-pip-version-check", *wheel), check=True)
        python = place / "venv" / "bin" / "python"
        subprocess.run((everybodys_python(), "-m", "venv", str(place / "venv")), check=True)
        pip = (str(python), "-m", "pip", "--disable-pip-version-check", "-q")
        subprocess.run((*pip, "install", *map(str, place.glob("*.whl"))), check=True)
        subprocess.run((*pip, "uninstall", "-y", "setuptools", "pip"), check=True)
        shutil.copytree(TOP / "tests" / "data" / "runs" / "format-2", place / "runs" / "mine")
        os.chown(place, NOBODY, NOBODY)
        yield place


def run(environment: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run bpfbench there as nobody, who has no home."""
    variables = {"PATH": os.environ["PATH"], "HOME": str(environment), "BPFBENCH_CACHE": str(environment / "cache")}
    argv = (str(environment / "venv" / "bin" / "bpfbench"), *words)
    return subprocess.run(
        argv, cwd=environment, env=variables, user=NOBODY, group=NOBODY, extra_groups=(), capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--version",), "0.1.0"),
        (("list",), "libbpf"),
        (("plan", "quick"), "trials in"),
        (("summary", "mine"), "libbpf"),
        (("report", "mine", "--output", "report"), "index.html"),
        (("docs", "install"), "# Installing"),
        (("docs",), "reference/tracer-contract"),
        (("docs", "reference/cli"), "# Command line"),
    ],
)
def test_what_needs_no_privilege_works(environment: Path, words: tuple[str, ...], said: str) -> None:
    done = run(environment, *words)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout


def test_it_works_by_a_link_from_where_sudo_looks(environment: Path) -> None:
    link = environment / "bpfbench"
    link.symlink_to(environment / "venv" / "bin" / "bpfbench")
    assert "0.1.0" in subprocess.run((link, "--version"), env={}, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    "file",
    [
        "man/man1/bpfbench.1",
        "man/man1/bpfbench-run.1",
        "bash-completion/completions/bpfbench",
        "zsh/site-functions/_cyclopts_bpfbench",
        "fish/vendor_completions.d/bpfbench.fish",
    ],
)
def test_what_man_and_shells_look_for_is_beside_the_command(environment: Path, file: str) -> None:
    assert (environment / "venv" / "share" / file).is_file()


@pytest.mark.parametrize("words", [("report", "mine", "--figures"), ("export", "mine", "--format", "csv")])
def test_what_wants_an_extra_says_so(environment: Path, words: tuple[str, ...]) -> None:
    done = run(environment, *words)
    assert done.returncode == 2
    assert f"uv pip install --python {environment}/venv/bin/python 'matplotlib" in done.stderr  # pip is gone


def test_the_core_is_no_larger_than_is_said(environment: Path) -> None:
    files = [path for path in (environment / "venv").rglob("*") if path.is_file() and not path.is_symlink()]
    compiled = sum(path.stat().st_size for path in files if "__pycache__" in path.parts)
    assert 0 < compiled < sum(path.stat().st_size for path in files) < CORE_MOST_BYTES  # pip compiles what it installs
