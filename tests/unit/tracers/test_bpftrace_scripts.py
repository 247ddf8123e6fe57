# SPDX-License-Identifier: Apache-2.0
"""The bpftrace scripts: one for each tool and hook, which report the same columns whatever the hook."""

from __future__ import annotations

import re

import pytest

from bpfbench.catalogue import PACKAGE, SETUPS
from bpfbench.model import Attach, Tool

SCRIPTS = PACKAGE / "tracers" / "bpftrace"
RETURN_VALUE = re.compile(r"args\.ret|\(int64\)retval|\$ret|retval")


def script(tool: Tool, attach: Attach) -> str:
    return (SCRIPTS / f"{tool}.{attach}.bt").read_text()


def reports(text: str) -> list[str]:
    """What is printed, with one name for the return value, which each hook has its own for."""
    return [RETURN_VALUE.sub("RET", printed) for printed in re.findall(r"printf\(\".*?\);", text, re.DOTALL)]


def test_each_hook_of_the_catalogue_has_its_scripts() -> None:
    rw = {
        f"{tool}.{attach}.bt" for tool in (Tool.RW_TRACER, Tool.RW_TRACER_ALL) for attach in SETUPS["bpftrace"].attaches
    }
    assert {path.name for path in SCRIPTS.glob("*.bt")} == rw | {"syscount.tracepoint.bt"}


@pytest.mark.parametrize("tool", [Tool.RW_TRACER, Tool.RW_TRACER_ALL])
@pytest.mark.parametrize("attach", [Attach.KPROBE, Attach.FENTRY])
def test_hooks_report_the_same_columns(tool: Tool, attach: Attach) -> None:
    assert reports(script(tool, attach)) == reports(script(tool, Attach.TRACEPOINT))
    assert len(reports(script(tool, attach))) == 2
