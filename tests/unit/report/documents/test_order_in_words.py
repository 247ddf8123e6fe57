# SPDX-License-Identifier: Apache-2.0
"""What is said of the order of trials and of a run's own noise, for people and for programs."""

from __future__ import annotations

import json

import pytest
from simulated import SETUPS, as_of_old, simulated

from bpfbench.analysis.results import of
from bpfbench.report.documents import order as worded


class TestWords:
    def test_an_effect_is_said_loudly(self) -> None:
        said = worded.said(of(simulated(1, first=1.5)))
        assert any("made a difference" in warning for warning in said.warnings)
        assert "the place in the block made a difference (p < 0.001)" in said.sentences[0]
        assert "times what later ones did (read 1." in said.sentences[0]

    def test_what_was_not_found_is_said_with_its_interval_and_no_warning(self) -> None:
        said = worded.said(of(simulated(15)))
        assert said.warnings == ()
        assert "no effect of the place in the block was found (p = " in said.sentences[0]
        assert "its first trials took " in said.sentences[0]
        assert "no effect of what ran right before was found (p = " in said.sentences[0]
        assert "Noise: in a single block, vanilla against itself varied by " in said.sentences[1]
        assert "18 blocks" in said.sentences[1]

    def test_what_cannot_be_tested_says_why(self) -> None:
        said = worded.said(of(as_of_old(simulated(16, blocks=2, setups=SETUPS[1:]))))
        assert said.sentences[0].startswith("Order: its effect cannot be tested: 2 blocks; it takes 6.")
        assert said.sentences[1].endswith("no block has two vanilla trials that count.")

    @pytest.mark.parametrize("blocks", [1, 2, 18])
    def test_programs_get_all_of_it(self, blocks: int) -> None:
        found = json.loads(json.dumps(worded.said(of(simulated(17, blocks=blocks))).document, allow_nan=False))
        assert set(found) == {"order", "noise"}
        assert found["order"]["blocks"] == blocks
        assert (found["order"]["place"]["p"] is None) == (found["order"]["place"]["reason"] is not None)
        assert found["noise"]["pooled"]["n"] == blocks
