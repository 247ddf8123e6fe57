# SPDX-License-Identifier: Apache-2.0
"""doctor and list."""

from __future__ import annotations

import pytest
from invoked import STUDIES, Invoke, complaint, data_of

from bpfbench import catalogue
from bpfbench.machine import privileges
from bpfbench.machine.facts import ok
from bpfbench.machine.privileges import NAMESPACES
from bpfbench.model import VANILLA

# The entry point reads sys.argv, as the command does.
pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")


class TestDoctor:
    @pytest.mark.parametrize("testbed", ["host", "vm"])
    def test_both_testbeds_are_examined(self, bpfbench: Invoke, monkeypatch: pytest.MonkeyPatch, testbed: str) -> None:
        monkeypatch.setattr(privileges, "namespaces", lambda: ok(NAMESPACES, "not needed"))
        found = data_of(bpfbench("doctor", "--testbed", testbed, "--json"))
        assert found["testbed"] == testbed
        assert found["usable"] == all(finding["verdict"] != "missing" for finding in found["findings"])
        assert {finding["what"] for finding in found["findings"]} >= {"CPUs", "energy"}
        assert {line["what"] for line in found["against_paper"]} >= {"CPU", "memory", "kernel", "hooks", "disks"}
        assert found["environment"]["kernel"] == found["machine"]["kernel"]

    def test_a_testbed_that_is_none_is_refused(self, bpfbench: Invoke) -> None:
        assert complaint(bpfbench("doctor", "--testbed", "moon")) == (
            "bpfbench: option --testbed: 'moon' is none of host, vm"
        )


class TestList:
    def test_everything_that_can_be_chosen_is_listed(self, bpfbench: Invoke) -> None:
        found = data_of(bpfbench("list", "--json"))
        assert set(found["studies"]) == set(STUDIES.split(", "))
        assert set(found["setups"]) == {VANILLA, *catalogue.SETUPS}
        assert set(found["tools"]) == {"syscount", "rw-tracer", "rw-tracer-all", "fs-profile"}
        assert set(found["workloads"]) == {"read", "write", "mixed"}
        assert set(found["targets"]) == set(catalogue.TARGETS)
        assert all(line for section in found.values() for line in section.values())

    def test_doctor_tells_which_setups_are_built(self, bpfbench: Invoke) -> None:
        assert data_of(bpfbench("doctor", "--json"))["setups"] == dict.fromkeys(catalogue.SETUPS, False)
        assert "none built" in bpfbench("doctor").out
