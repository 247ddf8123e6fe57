# SPDX-License-Identifier: Apache-2.0
"""The image, as it was built, through a file into another cache, and from there to container tools."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bpfbench import cli
from bpfbench.model import Sources
from bpfbench.testbed import image
from bpfbench.testbed.image import Image

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="the image of this cache is root's"),
    pytest.mark.beside,
]

Bpfbench = Callable[..., subprocess.CompletedProcess[str]]


def test_the_image_comes_out_with_packages_as_it_went_in(
    request: pytest.FixtureRequest, bpfbench: Bpfbench, trixie: Image, tmp_path: Path
) -> None:
    """And with `--all`, makes the same file again."""
    image.build(cli.cache_dir(), trixie.name, Sources(), lambda *_: None, targets=("sqlite",))
    first, there = tmp_path / "image.tar", tmp_path / "cache"
    bpfbench("image", "export", first).check_returncode()
    elsewhere = {**os.environ, "BPFBENCH_CACHE": str(there)}
    bpfbench("image", "import", first, env=elsewhere).check_returncode()
    argv = ("bpftrace", "--version")
    said = bpfbench("image", "enter", "trixie", "--", *argv, env=elsewhere)
    assert said.stdout == bpfbench("image", "enter", "trixie", "--", *argv).stdout != ""
    listed = bpfbench("image", "list", env=elsewhere).stdout
    assert f"trixie {trixie.key}" in listed
    if request.config.getoption("--all"):
        again = tmp_path / "again.tar"
        bpfbench("image", "export", again, env=elsewhere).check_returncode()
        assert subprocess.run(("cmp", str(first), str(again)), check=False).returncode == 0
        again.unlink()
    shutil.rmtree(there)
    if shutil.which("skopeo"):
        copying = ("skopeo", "copy", "--quiet", f"oci-archive:{first}", f"dir:{tmp_path / 'copied'}")
        subprocess.run(copying, check=True)
