# SPDX-License-Identifier: Apache-2.0
"""Two runs side by side: what is told as a change, what is not, and what cannot be compared."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from builders import MIB, make_fio, make_load, make_record, make_summary, make_trial
from scipy import stats

from bpfbench import store
from bpfbench.analysis.inference import Finding
from bpfbench.analysis.questions.compare import RunComparison, Shift, changed_facts, compare_runs
from bpfbench.analysis.results import Results, of
from bpfbench.model import Environment, Record, Tool
from bpfbench.report.document import Table
from bpfbench.report.documents import compare as comparison

FORMAT_1 = Path(__file__).parents[3] / "data" / "runs" / "format-1"


def records(vanilla: Sequence[float], libbpf: Sequence[float], kernel: str = "6.12", saved: int = 1000) -> list[Record]:
    found = []
    for setup, seconds in (("vanilla", vanilla), ("libbpf", libbpf)):
        for block, runtime_s in enumerate(seconds):
            trial = make_trial(setup, block)
            summary = make_summary(trial, saved=saved + block, lost={"ring_full": 1000 - saved})
            record = make_record(trial, fio=make_fio(runtime_s=runtime_s), summary=summary)
            found.append(dataclasses.replace(record, environment=Environment(kernel, "boot")))
    return found


def table(*args: Sequence[float], **kwargs: object) -> Results:
    return of(records(*args, **kwargs))  # type: ignore[arg-type]


def shift(found: RunComparison, setup: str, metric: str = "runtime_s") -> Shift:
    (only,) = (item for item in found.shifts if (item.cell.setup, item.metric) == (setup, metric))
    return only


def test_a_faster_machine_alone_changes_vanilla_and_not_the_ratio() -> None:
    before = table((10, 10.2, 9.9, 10.1), (11, 11.3, 10.8, 11.2))
    after = table((5, 5.1, 4.9, 5.05), (5.5, 5.65, 5.35, 5.6))
    found = compare_runs(before, after)
    vanilla, libbpf = shift(found, "vanilla"), shift(found, "libbpf")
    assert (vanilla.versus_vanilla, vanilla.finding) == (False, Finding.LOWER)
    assert vanilla.change == pytest.approx(0.5, rel=0.01)
    assert (libbpf.versus_vanilla, libbpf.finding) == (True, Finding.INCONCLUSIVE)
    assert libbpf.before == pytest.approx(1.1, rel=0.01)


def test_interval_and_p_are_welchs_on_log_ratios() -> None:
    a, b = (11, 11.3, 10.8, 11.2), (12, 12.5, 12.2)
    found = shift(compare_runs(table((10,) * 4, a), table((10,) * 3, b)), "libbpf")
    expected = stats.ttest_ind(np.log(np.divide(b, 10)), np.log(np.divide(a, 10)), equal_var=False)
    interval = expected.confidence_interval()
    assert found.p == pytest.approx(expected.pvalue)
    assert found.interval is not None
    assert (math.log(found.interval.low), math.log(found.interval.high)) == pytest.approx(tuple(interval))
    assert found.finding is Finding.HIGHER


def test_two_vanillas_of_a_block_are_no_two_repetitions() -> None:
    def twice(found: Sequence[Record]) -> list[Record]:
        again = [dataclasses.replace(r, trial=dataclasses.replace(r.trial, id=f"{r.trial.id}-2")) for r in found]
        return [*found, *(record for record in again if record.trial.is_vanilla)]

    sides = (records((10, 11, 12), (11, 12, 13)), records((12, 11, 14), (12, 13, 13)))
    once = compare_runs(of(sides[0]), of(sides[1]))
    both = compare_runs(of(twice(sides[0])), of(twice(sides[1])))
    assert (shift(both, "vanilla").n_before, shift(both, "vanilla").n_after) == (3, 3)
    for metric in ("runtime_s", "cpu_percent"):
        assert shift(both, "vanilla", metric).p == pytest.approx(shift(once, "vanilla", metric).p)


def test_what_is_in_per_cent_is_compared_in_points() -> None:
    found = shift(compare_runs(table((10, 11), (10, 11), saved=900), table((10, 11), (10, 11), saved=500)), "libbpf")
    assert found.is_ratio
    saved = shift(
        compare_runs(table((10, 11), (10, 11), saved=900), table((10, 11), (10, 11), saved=500)),
        "libbpf",
        "saved_percent",
    )
    assert not saved.is_ratio
    assert saved.change == pytest.approx(-40, abs=0.1)


def test_two_kernels_are_compared_where_each_run_has_one() -> None:
    found = compare_runs(table((10, 11), (11, 12), kernel="6.12"), table((10, 11), (11, 12), kernel="6.18"))
    assert shift(found, "libbpf").cell.kernel == "6.12"
    assert (found.only_before, found.only_after) == ((), ())


def test_where_a_run_has_several_kernels_each_is_compared_with_itself() -> None:
    after = [*records((10, 11), (11, 12), kernel="6.18"), *records((10, 11), (11, 12), kernel="6.12")]
    found = compare_runs(table((10, 11), (11, 12), kernel="6.12"), of(after))
    assert {cell.kernel for cell in found.only_after} == {"6.18"}
    assert shift(found, "libbpf").cell.kernel == "6.12"


def test_what_one_run_alone_has_is_listed() -> None:
    vanilla_only = of([record for record in records((10, 11), (11, 12)) if record.trial.is_vanilla])
    found = compare_runs(table((10, 11), (11, 12)), vanilla_only)
    assert [cell.setup for cell in found.only_before] == ["libbpf"]


@pytest.mark.parametrize("few", [(11,), (11, 11.001)])
def test_fewer_than_three_trials_on_a_side_are_too_few(few: Sequence[float]) -> None:
    many = table((10, 10, 10, 10), (22, 22.001, 22.002, 22.001))
    found = shift(compare_runs(table((10, 10)[: len(few)], few), many), "libbpf")
    assert (found.finding, found.interval, found.p, found.p_corrected) == (Finding.TOO_FEW, None, None, None)
    assert found.change == pytest.approx(2, rel=0.001)


def test_what_has_too_few_trials_takes_no_part_in_the_correction() -> None:
    runs = [records((10, 10, 10), seconds) for seconds in ((11, 11.3, 10.8), (12, 12.5, 12.2))]
    few = [
        dataclasses.replace(r, trial=dataclasses.replace(r.trial, id=f"{r.trial.id}-2", tool=Tool.SYSCOUNT))
        for r in records((10, 10), (11, 12))
    ]
    both = compare_runs(of([*runs[0], *few]), of([*runs[1], *few]))
    found = [own for own in both.shifts if own.metric == "runtime_s"]
    tested = [own for own in found if own.p is not None]
    assert (len(found), len(tested)) == (4, 1)
    assert tested[0].p_corrected == tested[0].p


def info(change: Callable[[store.RunInfo], store.RunInfo] = lambda info: info) -> store.RunInfo:
    return change(store.Run(FORMAT_1).info)


def test_facts_that_differ_are_named_and_passing_ones_are_not() -> None:
    def changed(info: store.RunInfo) -> store.RunInfo:
        machine = {**info.machine, "kernel": "6.99", "storage": {}}
        versions = {**info.image["versions"], "libbpf": "1:1.7.0"}
        image = {**info.image, "versions": versions, "built_at": "another day"}
        return dataclasses.replace(info, id="other", created_at="later", machine=machine, image=image)

    found = {item.what: (item.before, item.after) for item in changed_facts(info(), info(changed))}
    assert found["machine.kernel"][1] == "6.99"
    assert found["image.versions.libbpf"] == ("1:1.5.0-3", "1:1.7.0")
    assert not [what for what in found if "free_bytes" in what or "built_at" in what]
    assert changed_facts(info(), info()) == ()


def test_memory_growth_is_compared_by_its_difference_from_vanilla() -> None:
    def grown(libbpf: Sequence[float]) -> Results:
        found = []
        for setup, growth in (("vanilla", (-30.0, -20.0, -25.0)), ("libbpf", libbpf)):
            for block, mib in enumerate(growth):
                record = make_record(make_trial(setup, block), load=make_load(memory_mib=500 + mib))
                found.append(dataclasses.replace(record, idle=make_load(memory_mib=500)))
        return of(found)

    found = compare_runs(grown((-30, -19, -26)), grown((10, 22, 14)))
    own = shift(found, "libbpf", "memory_growth_bytes")
    assert (own.versus_vanilla, own.is_ratio, own.finding) == (True, False, Finding.HIGHER)
    assert own.before / MIB == pytest.approx(0.0)
    assert own.after / MIB == pytest.approx(121 / 3)
    blocks = comparison.document(found, "a", "b", whole=False)
    (shown,) = (b for b in blocks if isinstance(b, Table) and b.header[0] == "setup")
    lines = ([cell.text for cell in row] for row in shown.rows)
    (line,) = (row for row in lines if row[1] == "memory growth over vanilla, MiB")
    assert line[2:4] == ["+0.0 (3)", "+40.3 (3)"]
    assert (line[4], line[5][:2]) == ("+40.3 MiB", "[+")
