# SPDX-License-Identifier: Apache-2.0
"""capacity, on stored runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Invoke = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")
RUNS = Path(__file__).parents[2] / "data" / "runs"
LIMITED, UNLIMITED = str(RUNS / "format-3"), str(RUNS / "format-4")


def test_without_a_target_that_has_a_rate_there_is_nothing_to_check_and_what_is_drained_is_told(invoke: Invoke) -> None:
    status, out, err = invoke("capacity", UNLIMITED)
    assert (status, err) == (0, "")
    assert "there is nothing to check" in out
    assert "How fast rings are emptied" in out


def test_by_bench_drain_every_target_with_a_rate_is_predicted(invoke: Invoke, tmp_path: Path) -> None:
    config = {"attach": "tracepoint", "format": "text", "ringbuf_bytes": 262144, "poll_ms": 100}
    case = {"setup": "libbpf", "event_bytes": 156, "config": config}
    measured = {"case": case, "result": {"events": 1_000_000, "seconds": 1.0}, "reason": None}
    path = tmp_path / "drain.json"
    path.write_text(json.dumps({"machine": {}, "measurements": [measured]}))
    status, out, _ = invoke("capacity", LIMITED, "--drain", str(path), "--json")
    data = json.loads(out)["data"]
    assert status == 0
    assert [own["source"] for own in data["rates"]] == ["bench drain"]
    assert {held["tracer"]["setup"] for held in data["checked"]} == {"libbpf"}
    for held in data["checked"]:
        assert held["predicted"] == 100.0
        assert held["error"] == pytest.approx(held["predicted"] - held["measured"])


def test_another_file_is_no_bench_drain(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}")
    status, _, err = invoke("capacity", LIMITED, "--drain", str(tmp_path / "other.json"))
    assert status == 2
    assert "is no JSON of `bpfbench bench drain`" in err
