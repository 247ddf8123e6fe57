# SPDX-License-Identifier: Apache-2.0
"""A resolved study written as TOML is the study, read back."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import make_executable

from bpfbench import catalogue
from bpfbench.declare import study
from bpfbench.declare.study import to_toml


@pytest.mark.parametrize("path", catalogue.studies().values(), ids=lambda path: path.stem)
def test_a_shipped_study_comes_back(path: Path) -> None:
    resolved = study.load(path)
    assert study.parse(to_toml(resolved), "study.toml") == resolved


def test_everything_that_can_be_set_comes_back(tmp_path: Path) -> None:
    executable = make_executable(tmp_path / "tracer")
    text = f"""
name = "all"
description = 'a "quoted" \\\\ text'
testbed = "vm"
hosts = ["left", "right"]
assignment = "by-setup"
seed = 9
repetitions = 4
output_limit_bytes = "1GiB"
[factors]
setups = ["libbpf", "own"]
tools = "rw-tracer"
workloads = ["read", "write"]
scale = [0.5, 1]
ringbuf_bytes = ["64KiB", "1MiB"]
variants = ["full", "no-output"]
rate_iops = ["unlimited", 20000]
burst_ios = [1, 512]
duty_percent = [12.5, 50]
[settings]
idle_s = 1.5
keep_output = true
[paths]
data = "{tmp_path}"
[machine]
cpus = 3
accelerator = "tcg"
boot = "trial"
[setups.own]
command = ["{executable}", "--fast"]
"""
    resolved = study.parse(text, str(tmp_path / "all.toml"))
    assert study.parse(to_toml(resolved), str(tmp_path / "study.toml")) == resolved
