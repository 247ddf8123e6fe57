# SPDX-License-Identifier: Apache-2.0
"""A target that a study brings is read as it was meant, written back the same, and refused in one sentence."""

from __future__ import annotations

import pytest

from bpfbench.declare import plan, study
from bpfbench.errors import StudyError
from bpfbench.model import PAPER_TOOLS, Better, Study, TargetMetric

LEAST = 'drive = ["/usr/bin/dd", "if=/dev/zero", "of={data}/copy"]'
WHOLE = r"""
description = "a server"
comm = "server"
lay_out = "mkdir {data}/new"
start = ["{files}/server", "-d", "{data}"]
ready = ["test", "-e", "{run}/socket"]
drive = ["driver", "--socket", "{run}/socket"]
drive_at = ["driver", "--socket", "{run}/socket", "--rate={rate}"]
report = ["cat", "{run}/log"]
stop_signal = "SIGINT"
ready_s = 5
unhooked_percent = {read = 1.5}
metrics.operations = {pattern = 'done: (\d+)'}
metrics.latency_mean_us = {pointer = "/latency", scale = 1000}
metrics.p95 = {unit = "ms", better = "less", pattern = 'p95 (.*)'}
versions.server = ["{files}/server", "--version"]
"""


def parse(target: str, factors: str = 'targets = "mine"') -> Study:
    return study.parse(f'name = "s"\n[factors]\nsetups = "libbpf"\n{factors}\n[targets.mine]\n{target}', "my.toml")


def test_a_drive_command_is_enough_and_names_what_is_traced() -> None:
    (target,) = parse(LEAST).targets
    assert (target.name, target.comm, target.user, target.stop_signal) == ("mine", "dd", "nobody", "SIGTERM")
    assert (target.start, target.metrics, target.files, target.shipped) == ((), (), None, False)


def test_a_name_is_cut_within_a_character_as_the_kernel_cuts_it_and_a_file_says_nothing_of_it() -> None:
    read = parse('drive = ["/usr/bin/fourteen-bytesé"]')
    (target,) = read.targets
    assert target.comm == "fourteen-bytes\udcc3"
    written = study.to_toml(read)
    assert "\ncomm =" not in written
    assert study.parse(written.encode().decode(), "again.toml") == read


def test_everything_that_can_be_said_is_read_and_written_back() -> None:
    read = parse(WHOLE)
    (target,) = read.targets
    assert target.metrics == (
        TargetMetric("operations", pattern=r"done: (\d+)"),
        TargetMetric("latency_mean_us", pointer="/latency", scale=1000.0),
        TargetMetric("p95", "ms", Better.LESS, "p95 (.*)"),
    )
    assert [own.name for own in target.own_metrics] == ["p95"]
    assert target.lay_out == ("mkdir", "{data}/new")
    assert target.files is not None
    assert study.parse(study.to_toml(read), "again.toml") == read


def test_a_target_is_a_workload_once_whatever_the_scale_and_keeps_plans_of_fio_as_they_are() -> None:
    factors = 'tools = ["rw-tracer"]\nscale = [0.001, 0.002]\nprocesses = [1, 2]\n'
    alone = plan.unroll(parse(LEAST, f'{factors}workloads = "read"')).trials
    both = plan.unroll(parse(LEAST, f'{factors}workloads = "read"\ntargets = "mine"')).trials
    driven = [trial for trial in both if not trial.workload.is_fio]
    assert {trial.workload.name for trial in driven} == {"mine"}
    assert len(driven) == 2 * 3
    assert all(trial.id.split("-", 1)[1].startswith("mine-rw-tracer-") for trial in driven)
    rest = [(own.setup, own.workload, own.repetition) for own in both if own.workload.is_fio]
    assert rest == [(own.setup, own.workload, own.repetition) for own in alone]


def test_braces_that_are_no_placeholder_are_left_alone() -> None:
    (target,) = parse(
        """drive = ["awk", "{print} {next} {a}", "${HOME} {} {date} {pid}", "{0}", '{"data": 1}']"""
    ).targets
    assert target.drive == ("awk", "{print} {next} {a}", "${HOME} {} {date} {pid}", "{0}", '{"data": 1}')


def test_without_workloads_there_are_none_of_fio() -> None:
    assert parse(LEAST).factors.workloads == ()
    assert {trial.tool for trial in plan.unroll(parse(LEAST)).trials} == set(PAPER_TOOLS)


RATED = f"{LEAST}\ndrive_at = 'dd {{rate}}'\nmetrics.operations = {{pattern = '(a)'}}"


def test_a_rate_is_a_factor_of_those_that_can_be_driven_at_one() -> None:
    other = f"{RATED}\n[targets.other]\n{LEAST}"
    factors = 'targets = ["mine", "other"]\ntools = ["rw-tracer"]\nrate_iops = ["unlimited", 500]'
    unrolled = plan.unroll(parse(other, factors))
    rates = {(trial.workload.name, trial.workload.rate_iops) for trial in unrolled.trials}
    assert rates == {("mine", None), ("mine", 500), ("other", None)}
    assert unrolled.left_out == ("other at 500 operations/s: no drive_at",)
    assert len({trial.id.split("-", 1)[1] for trial in unrolled.trials}) == len(unrolled.trials)
    assert len(plan.data_sets(unrolled)) == 2


def test_a_rate_that_nothing_can_be_driven_at_is_refused() -> None:
    with pytest.raises(StudyError, match=r"factors\.rate_iops: mine: drivers without drive_at keep no rate") as caught:
        parse(LEAST, 'targets = "mine"\nrate_iops = 500')
    assert "postgres" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("", "my.toml: targets.mine.drive: this key is required"),
        ("drive = []", "targets.mine.drive: a command is wanted"),
        ('drive = "dd \'a"', 'targets.mine.drive: "dd \'a": no closing quotation'),
        (f'{LEAST}\ncomm = "a-name-that-is-too-long"', "the kernel keeps 1 to 15 bytes of a process's name"),
        (f'{LEAST}\nstart = ["x", "-d{{dta}}/a"]\nready = ["x"]', "start: {dta} is not one of: {files}, "),
        (
            f'{LEAST}\nreport = "cat {{outs}}"',
            "report: {outs} is not one of: {files}, {packages}, ",
        ),
        (f'{LEAST}\nversions.x = "{{file}}/x --version"', "(did you mean {files}?)"),
        (f'{LEAST}\nstart = ["x"]', "targets.mine: start goes with ready"),
        (f'{LEAST}\nready = ["x"]', "targets.mine: ready goes with start"),
        (f'{LEAST}\nstop_signal = "TERM"', "'TERM' is not one of: SIGINT, SIGTERM"),
        (f'{LEAST}\nuser = "me"', "'me' is not one of: nobody, root"),
        (f"{LEAST}\nunhooked_percent = {{readv = 1}}", "'readv' is not one of: read, write"),
        (f"{LEAST}\nunhooked_percent = {{read = 101}}", "read: 101 is out of range"),
        (f"{LEAST}\nmetrics.x = {{}}", "metrics: x: give either pattern"),
        (f"{LEAST}\nmetrics.x = {{pattern = '(', unit = 's'}}", "metrics: x: /(/ is no regular expression"),
        (f"{LEAST}\nmetrics.x = {{pattern = 'a'}}", "metrics: x: /a/ has 0 groups"),
        (f"{LEAST}\nmetrics.x = {{pointer = 'a'}}", "metrics: x: 'a' is no JSON pointer"),
        (f"{LEAST}\nmetrics.x = {{patern = '(a)'}}", "metrics: x: 'patern' is not one of: unit, better"),
        (f"{LEAST}\nmetrics.operations = {{pattern = '(a)', unit = 'x'}}", "metrics: operations: its unit is none"),
        (f'{LEAST}\ndrive_at = "dd"', "targets.mine: drive_at: {rate} is not in it"),
        (f'{LEAST}\ndrive_at = "dd {{rate}}"', "targets.mine: drive_at goes with metrics.operations"),
        ('drive = "dd {rate}"', "targets.mine: {rate} is known in drive_at only"),
        (f"{LEAST}\nstop = 1", "targets.mine.stop: unknown key"),
        (f"{LEAST}\n[targets.read]\n{LEAST}", "'read' is a workload of bpfbench's"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(target: str, said: str) -> None:
    with pytest.raises(StudyError) as caught:
        parse(target)
    assert said in caught.value.message
    assert caught.value.message.startswith("my.toml: targets.")


def test_a_target_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(StudyError, match=r"factors\.targets: 'mime' is not one of: .*mine \(did you mean 'mine'\?\)"):
        parse(LEAST, 'targets = "mime"')


def test_one_name_of_a_metric_has_one_meaning_in_a_study() -> None:
    other = f"{LEAST}\nmetrics.rate = {{pattern = '(a)', unit = 'MB/s'}}\n[targets.other]\n{LEAST}\n"
    with pytest.raises(
        StudyError, match=r"targets\.other\.metrics\.rate: has another unit or direction than that of mine"
    ):
        parse(f"{other}metrics.rate = {{pattern = '(a)', unit = 'kB/s'}}")
