# SPDX-License-Identifier: Apache-2.0
"""The paper's own numbers as a witness, and that no claim is reproduced by everything."""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from judged import CLAIMS, RW, RW_TOOLS, claim_of

from bpfbench import catalogue
from bpfbench.analysis.questions.claims.claim import Claim, Ranking
from bpfbench.analysis.questions.claims.judge import ClaimVerdict, judge
from bpfbench.analysis.questions.claims.paper import PaperWitness, paper_witness
from bpfbench.analysis.questions.claims.witness import PAPER_SETUPS, RUNTIME, SAVED
from bpfbench.model import PAPER_TOOLS


class TestThePaperItself:
    @pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
    def test_its_own_numbers_bear_it_out_unless_they_contradict_it_or_are_too_few(self, claim: Claim) -> None:
        verdict = judge(claim, paper_witness(catalogue.paper())).verdict
        expected = ClaimVerdict.INCONCLUSIVE if claim.unprinted else ClaimVerdict.REPRODUCED
        assert verdict is (ClaimVerdict.NOT_REPRODUCED if claim.contradicted else expected)

    @pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
    def test_other_numbers_do_not_reproduce_it(self, claim: Claim) -> None:
        assert any(judge(claim, witness).verdict is ClaimVerdict.NOT_REPRODUCED for witness in _perturbed())

    def test_a_bound_is_not_reached_by_those_it_bounds(self) -> None:
        witness = paper_witness(catalogue.paper())
        most = Ranking(RUNTIME, ("read",), RW, (("libbpf",), ("bcc",)))
        assert judge(claim_of(most), witness).verdict is ClaimVerdict.REPRODUCED

    def test_numbers_that_tie_are_no_order(self) -> None:
        ties = Ranking(SAVED, ("read",), RW, (("aya-sync",), ("aya-async",)))
        assert judge(claim_of(ties), paper_witness(catalogue.paper())).verdict is ClaimVerdict.INCONCLUSIVE

    def test_ids_are_unique(self) -> None:
        assert len({claim.id for claim in CLAIMS}) == len(CLAIMS)

    def test_numbers_stand_against_words(self) -> None:
        data = copy.deepcopy(catalogue.paper())
        data["words"] = {
            "order": [
                {
                    "measure": "saved_percent",
                    "workloads": ["read"],
                    "tools": ["rw-tracer"],
                    "tiers": [["bpftrace"], ["libbpf"]],
                }
            ],
            "across": [],
        }
        claim = claim_of(Ranking(SAVED, ("read",), RW, (("bpftrace",), ("libbpf",))))
        assert judge(claim, paper_witness(data)).verdict is ClaimVerdict.NOT_REPRODUCED


@functools.cache
def _perturbed() -> tuple[PaperWitness, ...]:
    """The paper with all numbers of a table, one of them, or one rank, far off."""
    return tuple(paper_witness(data) for data in _perturbations(catalogue.paper()))


def _perturbations(paper: dict[str, Any]) -> Iterator[dict[str, Any]]:
    tables = ["vanilla.read", "vanilla.write"]
    tables += [f"{w}.saved_percent.{tool}" for w in ("read", "write") for tool in RW_TOOLS]
    tables += [f"{w}.factor_over_vanilla.{tool}" for w in ("read", "write", "mixed") for tool in PAPER_TOOLS]
    for path, factor in itertools.product(tables, (0.001, 1000.0)):
        keys = path.split(".")
        for changed in _off(functools.reduce(dict.__getitem__, keys, paper), factor):
            data = copy.deepcopy(paper)
            functools.reduce(dict.__getitem__, keys[:-1], data)[keys[-1]] = changed
            yield data
    for kind, ranks in (("order", "tiers"), ("across", "tasks")):
        for number in range(len(paper["words"][kind])):
            data = copy.deepcopy(paper)
            data["words"][kind][number][ranks].reverse()
            yield data


def _off(table: dict[str, Any], factor: float) -> Iterator[dict[str, Any]]:
    """The table with all its numbers off, then with each entry."""
    yield {key: value for name in table for key, value in _entry_off(name, table[name], factor).items()}
    for name, entry in table.items():
        if isinstance(entry, dict):
            yield from ({**table, name: changed} for changed in _off(entry, factor))
        else:
            kept = {key: value for key, value in table.items() if key != name}
            yield {**kept, **_entry_off(name, entry, factor)}


def _entry_off(name: str, entry: Any, factor: float) -> dict[str, Any]:
    """A number, or a bound of the other kind, far from what it was."""
    if isinstance(entry, dict):
        return {name: {k: v for key in entry for k, v in _entry_off(key, entry[key], factor).items()}}
    if name.startswith("others_at_"):
        return {"others_at_least" if factor > 1 else "others_at_most": factor * entry}
    if isinstance(entry, list):
        return {name: [factor * entry[-1]] * 2 if isinstance(entry[-1], float) else entry}
    return {name: entry if isinstance(entry, str) else factor * entry}


def test_all_setups_of_the_paper_are_ours() -> None:
    assert set(PAPER_SETUPS) <= set(catalogue.SETUPS)
