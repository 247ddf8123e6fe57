# SPDX-License-Identifier: Apache-2.0
"""The Containerfile, built by a container engine: in it a virtual machine as an ordinary user, and the host as root.

Where its base cannot be pulled, mmdebstrap makes one. scripts/lint has a linter look at it, whatever runs here.
"""

from __future__ import annotations

import ast
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.beside  # its virtual machine is emulated, and nothing is made of its numbers

TOP = Path(__file__).parents[2]
ENGINES = ("podman", "docker")
TAG = "localhost/bpfbench-under-test"
BASE = "localhost/bpfbench-base-under-test"
CA_BUNDLE = "/run/host-ca-bundle.pem"
UNPRIVILEGED = (
    *("--security-opt", "seccomp=unconfined"),
    *("--security-opt", "apparmor=unconfined"),
    *("--security-opt", "systempaths=unconfined"),
)
PRIVILEGED = ("--privileged", "--user", "root")
USER = 1000
"""Who runs in a container that root has built."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A container engine."""

    name: str
    conf: Path | None = None
    """The containers.conf that podman reads in the place of its own."""

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Give it a command, and wait."""
        env = os.environ | ({"CONTAINERS_CONF": str(self.conf)} if self.conf else {})
        return subprocess.run((self.name, *words), cwd=TOP, env=env, capture_output=True, text=True, check=False)


def engine() -> Engine | None:
    """Return the first container engine that runs here."""
    return next((Engine(name) for name in filter(shutil.which, ENGINES) if Engine(name)("info").returncode == 0), None)


def base(found: Engine, containerfile: str) -> str:
    """Return what the Containerfile begins with, made here of the same suite where it cannot be pulled."""
    (pinned,) = re.findall(r"^ARG BASE=(\S+)$", containerfile, re.MULTILINE)
    if (pulled := found("pull", pinned)).returncode == 0:
        return str(pinned)
    if shutil.which("mmdebstrap") is None:
        pytest.skip(f"its base cannot be had here: {pulled.stderr.splitlines()[-1]}")
    suite = pinned.split(":")[1].split("-")[0]
    mirror = filter(None, [os.environ.get("BPFBENCH_MIRROR")])
    argv = ("mmdebstrap", "--quiet", "--variant=minbase", "--components=main", suite, "-", *mirror)
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as making:
        subprocess.run((found.name, "import", "-", BASE), stdin=making.stdout, capture_output=True, check=True)
    assert making.returncode == 0
    return BASE


def that_starts(found: Engine, image: str, folder: Path) -> Engine:
    """Return an engine with the least of settings by which a container starts here."""

    def most(limit: int, file: str) -> int:
        """Return the most that we, and an engine that keeps to the kernel's own limit, may allow."""
        own, kernels = resource.getrlimit(limit)[1], int(Path("/proc/sys", file).read_text())
        return kernels if own == resource.RLIM_INFINITY else min(own, kernels)

    nofile, nproc = most(resource.RLIMIT_NOFILE, "fs/nr_open"), most(resource.RLIMIT_NPROC, "kernel/pid_max")
    limits = f'default_ulimits = ["nofile={nofile}:{nofile}", "nproc={nproc}:{nproc}"]\n'
    runc = '[engine]\nruntime = "runc"\n' if shutil.which("runc") else ""
    settings = ("", runc, limits, limits + runc, 'netns = "host"\n' + limits + runc)
    said = []
    for number, setting in enumerate(settings):
        conf = folder / f"{number}.conf"
        conf.write_text(f"[containers]\n{setting}")
        trying = Engine(found.name, conf) if setting else found
        if (started := trying("run", "--rm", image, "true")).returncode == 0:
            return trying
        said.append(started.stderr.strip().splitlines()[-1])
    pytest.skip(f"{found.name} starts no container here: {said[-1]}")


def handed_in(folder: Path) -> tuple[str, ...]:
    """Return the options that hand in what this machine has set of how a Python index is reached, and by which CAs."""
    listed = subprocess.run((sys.executable, "-m", "pip", "config", "list"), capture_output=True, text=True, check=True)
    own: dict[str, str] = {}
    for line in sorted(listed.stdout.splitlines(), reverse=True):  # :env: comes last, and wins
        name, _, value = line.partition("=")
        own[name.rpartition(".")[2]] = str(ast.literal_eval(value))
    bundle = own.get("cert", os.environ.get("SSL_CERT_FILE"))
    keys = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout")
    said: dict[str, str] = {key: own[key] for key in keys if key in own}
    mounted = {}
    if bundle:
        mounted[bundle] = said["cert"] = CA_BUNDLE
    if said:
        lines = (f"{key} = {value.replace(chr(10), ' ')}\n" for key, value in said.items())
        (conf := folder / "pip.conf").write_text("[global]\n" + "".join(lines))
        mounted[str(conf)] = "/etc/pip.conf"
    return tuple(word for here, there in mounted.items() for word in ("--volume", f"{here}:{there}:ro"))


@dataclass(frozen=True, slots=True)
class Container:
    """What was built."""

    engine: Engine
    options: tuple[str, ...]
    """Those that hand in what this machine has set."""

    def run(self, options: tuple[str, ...], *words: str) -> subprocess.CompletedProcess[str]:
        """Run bpfbench in it, as docs/install.md tells."""
        env = ["--env", "BPFBENCH_WAIT", "--env", "BPFBENCH_MIRROR"]
        if any(CA_BUNDLE in word for word in self.options):
            env += ["--env", f"BPFBENCH_CA_BUNDLE={CA_BUNDLE}"]
        return self.engine("run", "--rm", "--init", *options, *self.options, *env, TAG, *words)


@pytest.fixture(scope="module")
def container(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """Build it; of the images that this takes, those made here are deleted."""
    if not request.config.getoption("--all"):
        pytest.skip("for scripts/test --all: builds a container, and an image in it, twice")
    if (found := engine()) is None:
        pytest.skip("no podman or docker runs here")
    if found.name == "podman" and os.geteuid() != 0:
        pytest.skip("podman is to be run by root: its containers have too few users otherwise")
    folder = tmp_path_factory.mktemp("container")
    begins = base(found, (TOP / "Containerfile").read_text())
    try:
        starting = that_starts(found, begins, folder)
        # docker hands nothing into what it builds; podman would keep the stage that is not wanted any more.
        options, own = (handed_in(folder), ("--layers=false",)) if found.name == "podman" else ((), ())
        arguments = ("--build-arg", f"BASE={begins}", "--build-arg", f"UID={os.geteuid()}")
        what = (*arguments, "--tag", TAG, "--file", "Containerfile", ".")
        built = starting("build", *own, *options, *what)
        assert built.returncode == 0, built.stderr
        yield Container(starting, options)
    finally:
        found("image", "rm", TAG)
        if begins == BASE:
            found("image", "rm", BASE)


@pytest.mark.parametrize(("testbed", "options"), [("vm", UNPRIVILEGED), ("host", PRIVILEGED)])
def test_a_study_runs_in_it_and_its_results_are_left_here(
    container: Container, testbed: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    if testbed == "host" and os.geteuid() != 0:
        pytest.skip("measuring on this kernel needs root")
    if testbed == "vm" and os.geteuid() == 0:
        os.chown(tmp_path, USER, USER)
    narrow = ("--setups", "libbpf", "--tools", "rw-tracer", "--workloads", "read")
    folder = ("--volume", f"{tmp_path}:/work")
    done = container.run((*options, *folder), "run", "smoke", "--testbed", testbed, *narrow)
    assert done.returncode == 0, done.stderr
    assert "libbpf" in done.stdout
    assert len(list(tmp_path.glob("runs/*/run.json"))) == 1


@pytest.mark.parametrize("options", [UNPRIVILEGED, PRIVILEGED])
def test_it_is_run_as_users_are_told_to(options: tuple[str, ...]) -> None:
    page = " ".join((TOP / "docs" / "install.md").read_text().replace("\\\n", " ").split())
    assert " ".join(options) in page
