# SPDX-License-Identifier: Apache-2.0
"""Numbers are read out of what a target prints, by pattern or pointer, and what is missing is said."""

from __future__ import annotations

import pytest

from bpfbench.errors import StepError
from bpfbench.inside.printed import read_metrics
from bpfbench.model import TargetMetric

TPS = TargetMetric("tps", pattern=r"^tps = ([\d.]+)")


def pointed(pointer: str, scale: float = 1.0) -> TargetMetric:
    return TargetMetric("it", pointer=pointer, scale=scale)


def test_of_several_matches_the_last_counts_and_it_is_scaled() -> None:
    assert read_metrics([TPS], "tps = 1\ntps = 20.5\n") == {"tps": 20.5}
    in_us = TargetMetric("latency_mean_us", pattern=r"average = (.*) ms", scale=1000.0)
    assert read_metrics([in_us], "average = 1.5 ms") == {"latency_mean_us": 1500.0}


def test_a_pointer_follows_objects_and_lists_with_its_escapes() -> None:
    document = '{"jobs": [{"a/b": {"~": 3}}]}'
    assert read_metrics([pointed("/jobs/0/a~1b/~0", 2.0)], "", document) == {"it": 6.0}
    assert read_metrics([pointed("/jobs/0/a~1b/~0")], document) == {"it": 3.0}


@pytest.mark.parametrize(
    ("metric", "printed", "said"),
    [
        (TPS, "nothing of it", r"the target printed nothing that /.*/ matches \(tps\)"),
        (TargetMetric("n", pattern="n (.*)"), "n many", "the target printed 'many' where n was due, a number"),
        (TargetMetric("n", pattern="n (.*)"), "n 0", "the target printed n 0, which cannot be compared by ratio"),
        (pointed("/a"), "no json", "the target left no JSON document for it at /a"),
        (pointed("/a/1"), '{"a": [1]}', "has nothing at /a/1"),
        (pointed("/a"), '{"a": null}', "the target printed None where it was due"),
    ],
)
def test_what_is_not_there_is_said(metric: TargetMetric, printed: str, said: str) -> None:
    with pytest.raises(StepError, match=said):
        read_metrics([metric], printed)
