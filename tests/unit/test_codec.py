# SPDX-License-Identifier: Apache-2.0
"""Whatever model/ can hold survives JSON; whatever does not fit is refused with the path of the field."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pytest
from builders import make_record, make_trial
from hypothesis import given
from hypothesis import strategies as st

from bpfbench import model
from bpfbench.codec import decode, from_json, to_json
from bpfbench.model import Attach, Format, Record, SystemLoad, Trial

MODEL = [cls for cls in vars(model).values() if dataclasses.is_dataclass(cls) and isinstance(cls, type)]

st.register_type_strategy(float, st.floats(allow_nan=False))


@pytest.mark.parametrize("cls", MODEL, ids=lambda cls: cls.__name__)
@given(data=st.data())
def test_every_value_of_the_model_survives_json(cls: type[Any], data: st.DataObject) -> None:
    value = data.draw(st.from_type(cls))
    assert from_json(cls, to_json(value)) == value


def test_the_model_has_the_types_that_are_stored() -> None:
    assert {cls.__name__ for cls in MODEL} >= {"Record", "Trial", "Study", "TrialSpec", "TracerSummary"}


def test_what_is_read_has_the_types_that_were_written() -> None:
    trial = make_trial("libbpf")
    found = from_json(Trial, to_json(trial))
    assert found.config is not None
    assert isinstance(found.config.attach, Attach)
    assert isinstance(found.config.format, Format)
    record = from_json(Record, to_json(make_record(trial)))
    assert isinstance(record.cpus["workload"], tuple)


def test_json_is_what_other_programs_read() -> None:
    data = json.loads(to_json(make_trial("libbpf")))
    assert data["config"]["attach"] == "kprobe"
    assert data["workload"] == {
        "name": "read",
        "processes": 4,
        "bytes_per_process": 32 * 2**30,
        "rate_iops": None,
        "burst_ios": 1,
        "duty_percent": 100.0,
        "rate_process": "linear",
    }


@pytest.mark.parametrize("indent", [1, None])
def test_json_is_ascii_so_that_no_locale_can_spoil_it(indent: int | None) -> None:
    check = model.Check("Größe 🐝", ok=True, detail="\udcff")  # the last is how Python holds a byte that is no UTF-8
    text = to_json(check, indent)
    assert text.isascii()
    assert from_json(model.Check, text) == check


def test_json_without_indentation_is_one_line() -> None:
    text = to_json(make_record(make_trial("bcc")), indent=None)
    assert text.endswith("}\n")
    assert len(text.splitlines()) == 1


def test_a_whole_number_does_as_a_float_and_becomes_one() -> None:
    load = from_json(SystemLoad, '{"seconds": 10, "cpu_percent": 5, "memory_bytes": 1, "samples": 2}')
    assert load == SystemLoad(10.0, 5.0, 1.0, 2)
    assert isinstance(load.seconds, float)


def test_a_field_with_a_default_may_be_missing() -> None:
    assert from_json(model.Settings, "{}") == model.Settings()


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


@dataclass(frozen=True)
class Leaf:
    n: int
    colour: Colour = Colour.RED


@dataclass(frozen=True)
class Tree:
    leaf: Leaf
    leaves: tuple[Leaf, ...]
    by_name: dict[str, Leaf]
    flag: bool
    share: float
    text: str
    maybe: int | None


GOOD: dict[str, Any] = {
    "leaf": {"n": 1},
    "leaves": [{"n": 2}, {"n": 3, "colour": "green"}],
    "by_name": {"a": {"n": 4}},
    "flag": True,
    "share": 0.5,
    "text": "x",
    "maybe": None,
}


def test_nested_types_are_read() -> None:
    assert decode(Tree, GOOD, "Tree") == Tree(
        Leaf(1), (Leaf(2), Leaf(3, Colour.GREEN)), {"a": Leaf(4)}, True, 0.5, "x", None
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": 1}, "Tree: unknown field 'colour'"),
        ({"leaf": {"n": 1, "m": 2}}, "Tree.leaf: unknown field 'm'"),
        ({"leaf": {}}, "Tree.leaf: field 'n' is missing"),
        ({"leaf": None}, "Tree.leaf: expected dict, got NoneType"),
        ({"leaf": [1]}, "Tree.leaf: expected dict, got list"),
        ({"leaf": {"n": "1"}}, "Tree.leaf.n: expected int, got str"),
        ({"leaf": {"n": True}}, "Tree.leaf.n: expected int, got bool"),
        ({"leaf": {"n": 1.0}}, "Tree.leaf.n: expected int, got float"),
        ({"leaf": {"n": 1, "colour": "blue"}}, "Tree.leaf.colour: 'blue' is not one of: red, green"),
        ({"leaf": {"n": 1, "colour": ["red"]}}, "Tree.leaf.colour: ['red'] is not one of: red, green"),
        ({"leaves": {"n": 1}}, "Tree.leaves: expected list, got dict"),
        ({"leaves": [{"n": 1}, {"n": 2}, {}]}, "Tree.leaves[2]: field 'n' is missing"),
        ({"by_name": []}, "Tree.by_name: expected dict, got list"),
        ({"by_name": {"a": {"n": 1}, "b": {"n": None}}}, "Tree.by_name.b.n: expected int, got NoneType"),
        ({"flag": 1}, "Tree.flag: expected bool, got int"),
        ({"share": "half"}, "Tree.share: expected float, got str"),
        ({"share": True}, "Tree.share: expected float, got bool"),
        ({"text": 5}, "Tree.text: expected str, got int"),
        ({"text": None}, "Tree.text: expected str, got NoneType"),
        ({"maybe": "no"}, "Tree.maybe: expected int, got str"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_path_of_the_field(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        from_json(Tree, json.dumps({**GOOD, **change}))
    assert str(caught.value) == message


@pytest.mark.parametrize("field", sorted(GOOD))
def test_a_missing_field_is_named(field: str) -> None:
    data = {name: value for name, value in GOOD.items() if name != field}
    with pytest.raises(ValueError, match=f"^Tree: field '{field}' is missing$"):
        decode(Tree, data, "Tree")


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", "\x00", b"\xff"])
def test_text_that_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's own words
        from_json(Tree, text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
    )
)
def test_arbitrary_json_is_refused_and_never_crashes(data: Any) -> None:
    with pytest.raises(ValueError, match=r"^Record"):
        from_json(Record, json.dumps(data))


@given(st.sampled_from(sorted(json.loads(to_json(make_record(make_trial("bcc")))))), st.data())
def test_a_record_with_any_field_spoilt_is_refused_or_reads_back_as_it_is(field: str, data: st.DataObject) -> None:
    good = json.loads(to_json(make_record(make_trial("bcc"))))
    spoilt = {
        **good,
        field: data.draw(st.none() | st.booleans() | st.integers() | st.text() | st.just({}) | st.just([])),
    }
    fault = None
    try:
        found = from_json(Record, json.dumps(spoilt))
    except ValueError as error:
        fault = str(error)
    assert fault.startswith(f"Record.{field}") if fault else json.loads(to_json(found)) == spoilt


def test_what_is_text_alone_is_read_once_however_often_it_is_stored() -> None:
    text = '{"kind": "kprobe", "target": "vfs_read", "program": "on_read"}'
    assert from_json(model.Hook, text) is from_json(model.Hook, text)
