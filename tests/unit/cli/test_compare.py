# SPDX-License-Identifier: Apache-2.0
"""compare, on stored runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Invoke = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")
RUNS = Path(__file__).parents[2] / "data" / "runs"
OLD, NEW, LIMITED = (str(RUNS / name) for name in ("format-1", "format-2", "format-3"))


class TestCompare:
    def test_a_run_of_an_older_format_is_compared_with_a_new_one(self, invoke: Invoke) -> None:
        status, out, _ = invoke("compare", OLD, NEW, "--json")
        document = json.loads(out)["data"]
        assert status == 0
        assert (document["before"], document["after"]) == ("format-1", "format-2")
        assert {shift["setup"] for shift in document["shifts"]} == {"vanilla", "libbpf", "bpftrace"}
        assert (document["only_before"], document["only_after"]) == ([], [])

    def test_a_run_does_not_differ_from_itself(self, invoke: Invoke) -> None:
        status, out, _ = invoke("compare", NEW, NEW)
        assert status == 0
        assert "Nothing that was recorded" in out
        assert "No change can be told from noise." in out

    def test_markdown_has_tables(self, invoke: Invoke) -> None:
        status, out, _ = invoke("compare", OLD, NEW, "--markdown")
        assert status == 0
        assert "| setup | metric |" in out

    def test_both_forms_at_once_are_refused(self, invoke: Invoke) -> None:
        status, _, err = invoke("compare", OLD, NEW, "--json", "--markdown")
        assert status == 2
        assert "choose one of --json, --markdown" in err

    def test_a_run_that_is_not_there_is_named(self, invoke: Invoke, tmp_path: Path) -> None:
        status, _, err = invoke("compare", OLD, "nowhere", "--runs-dir", str(tmp_path))
        assert status == 1
        assert "'nowhere' is no run" in err
