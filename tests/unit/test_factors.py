# SPDX-License-Identifier: Apache-2.0
"""Every key of a study has its row, and every factor its place in the model, so that adding one cannot be half done."""

from __future__ import annotations

import dataclasses

import pytest

from bpfbench import factors
from bpfbench.cli.options import StudyOptions
from bpfbench.declare.study import BROUGHT, TABLES
from bpfbench.factors import FACTORS, REQUIRED, STUDY, Factor
from bpfbench.model import Study, TracerConfig, Trial, TunedValues, Workload

LATE = [(part, field) for part in (Workload, TracerConfig) for field in dataclasses.fields(part) if not field.repr]


@pytest.mark.parametrize("table", TABLES)
def test_every_field_of_a_table_that_a_file_can_set_has_a_row_in_the_same_order(table: str) -> None:
    fields = [field.name for field in dataclasses.fields(TABLES[table])]
    assert [key.name for key in STUDY if key.table == table] == [name for name in fields if name != "deadlines"]


def test_every_field_of_a_study_has_a_row_or_is_a_table() -> None:
    rows = {key.name for key in STUDY if not key.table}
    assert rows | {*TABLES, *BROUGHT} == {field.name for field in dataclasses.fields(Study)}


def test_every_knob_has_a_field_of_what_is_tuned() -> None:
    assert ["setup", *factors.KNOBS] == [field.name for field in dataclasses.fields(TunedValues)]


@pytest.mark.parametrize("part", [Workload, TracerConfig])
def test_every_field_of_what_a_factor_is_part_of_has_a_row_in_the_same_order(part: type) -> None:
    assert [factor.field for factor in factors.of(part)] == [field.name for field in dataclasses.fields(part)]


def test_all_other_factors_are_of_the_trial_itself() -> None:
    assert {factor.field for factor in factors.of(Trial)} <= {field.name for field in dataclasses.fields(Trial)}


@pytest.mark.parametrize(("part", "field"), LATE, ids=lambda value: getattr(value, "name", ""))
def test_what_a_study_does_not_say_is_what_records_had_before_there_was_the_factor(
    part: type, field: dataclasses.Field[object]
) -> None:
    (factor,) = (factor for factor in factors.of(part) if factor.field == field.name)
    assert factor.usual == field.default


@pytest.mark.parametrize("factor", FACTORS, ids=lambda factor: factor.name)
def test_every_factor_can_be_given_on_the_command_line(factor: Factor) -> None:
    options = StudyOptions(**{f"factors_{factor.name}": "1"})
    assert list(options.overrides()) == [f"factors.{factor.name}"]


@pytest.mark.parametrize("factor", FACTORS, ids=lambda factor: factor.name)
def test_the_default_of_a_factor_is_what_its_own_reader_reads(factor: Factor) -> None:
    if factor.default is not REQUIRED and factor.default:
        written = ["unlimited" if value is None else value for value in factor.default]
        assert factor.read(written) == factor.default


def test_only_what_is_unusual_of_a_workload_is_told() -> None:
    assert factors.unusual(Workload("read", 4, 4096)) == []
    assert [value for _, value in factors.unusual(Workload("read", 4, 4096, 5000))] == [5000]
