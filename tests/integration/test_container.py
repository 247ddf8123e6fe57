# SPDX-License-Identifier: Apache-2.0
"""The Containerfile, built by a container engine: in it a virtual machine as an ordinary user, and the host as root.

Where no engine runs, a linter looks at it, if there is one.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
ENGINES = ("podman", "docker")
TAG = "bpfbench-under-test"
UNPRIVILEGED = (
    *("--security-opt", "seccomp=unconfined"),
    *("--security-opt", "apparmor=unconfined"),
    *("--security-opt", "systempaths=unconfined"),
)
PRIVILEGED = ("--privileged", "--user", "root")


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, cwd=TOP, capture_output=True, text=True, check=False)


def engine() -> str | None:
    """Return the first container engine that runs here."""
    return next((name for name in filter(shutil.which, ENGINES) if run(name, "info").returncode == 0), None)


def test_a_linter_finds_no_fault_where_no_engine_tries_it() -> None:
    if (found := engine()) is not None:
        pytest.skip(f"{found} runs here, and builds it with --all")
    if shutil.which("hadolint") is None:
        pytest.skip("the Containerfile was not tried: no podman or docker runs here, and hadolint is not installed")
    # Packages are those of Debian's suite as it is; hadolint would have the version of each.
    done = run("hadolint", "--ignore", "DL3008", "Containerfile")
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def container(request: pytest.FixtureRequest) -> Iterator[str]:
    """Build it; return the engine."""
    if not request.config.getoption("--all"):
        pytest.skip("for scripts/test --all: builds a container, and an image in it, twice")
    if (found := engine()) is None:
        pytest.skip("no podman or docker runs here")
    (base,) = re.findall(r"^ARG BASE=(\S+)$", (TOP / "Containerfile").read_text(), re.MULTILINE)
    if (pulled := run(found, "pull", base)).returncode != 0:
        pytest.skip(f"its base cannot be had here: {pulled.stderr.splitlines()[-1]}")
    built = run(found, "build", "--tag", TAG, "--file", "Containerfile", ".")
    assert built.returncode == 0, built.stderr
    yield found
    run(found, "image", "rm", TAG)


@pytest.mark.parametrize(("testbed", "options"), [("vm", UNPRIVILEGED), ("host", PRIVILEGED)])
def test_a_study_runs_in_it(container: str, testbed: str, options: tuple[str, ...]) -> None:
    narrow = ("--setups", "libbpf", "--tools", "rw-tracer", "--workloads", "read")
    done = run(container, "run", "--rm", "--init", *options, TAG, "run", "smoke", "--testbed", testbed, *narrow)
    assert done.returncode == 0, done.stderr
    assert "libbpf" in done.stdout


@pytest.mark.beside
@pytest.mark.parametrize("options", [UNPRIVILEGED, PRIVILEGED])
def test_it_is_run_as_users_are_told_to(options: tuple[str, ...]) -> None:
    page = " ".join((TOP / "docs" / "install.md").read_text().replace("\\\n", " ").split())
    assert " ".join(options) in page
