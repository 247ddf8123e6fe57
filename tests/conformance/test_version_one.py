# SPDX-License-Identifier: Apache-2.0
"""A tracer of version 1 of the contract runs on: it is never given what version 2 added where it need not be."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from breaking import SUMMARY, Mutant, built

from bpfbench.inside.conformance import alone, knobs, together
from bpfbench.testbed.image import Image

SAYS_ONE = Mutant("version-one", SUMMARY, '\\"contract\\": 2,', '\\"contract\\": 1,', frozenset())
KNOWS_ONE = """\
#!/bin/sh
for word; do
    case $option in
    --wakeup | --rings | --consumers | --output-bytes | --records | --buffer | --epoll)
        echo "tracer: $option '$word' is an unknown option" >&2
        exit 2
        ;;
    esac
    option=$word
done
exec "${0%/*}/linked" "$@"
"""
"""The libbpf tracer behind what refuses all that version 1 has not."""


@pytest.fixture(scope="module")
def verdicts(trixie: Image, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the suite finds of it."""
    place = tmp_path_factory.mktemp("version-one")
    setup = built(trixie, SAYS_ONE, place)
    (tracer,) = place.glob("*/out/libbpf/tracer")
    tracer.rename(tracer.with_name("linked"))
    tracer.write_text(KNOWS_ONE)
    tracer.chmod(0o755)
    study = place / "study.toml"
    study.write_text(f'name = "one"\n[factors]\nsetups = "{SAYS_ONE.name}"\nworkloads = "read"\n{setup}')
    argv = (sys.executable, "-m", "bpfbench", "check", "--json", "--study", study, "--setups", SAYS_ONE.name)
    done = subprocess.run((*argv, "--attach", "tracepoint"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["data"]["verdicts"]
    return found


def test_it_keeps_the_contract(verdicts: list[dict[str, Any]]) -> None:
    passed = {verdict["case"] for verdict in verdicts if verdict["outcome"] == "passed"}
    assert passed == {*together.CASES, *alone.CASES}


def test_it_is_let_off_what_it_has_not(verdicts: list[dict[str, Any]]) -> None:
    skipped = [verdict for verdict in verdicts if verdict["outcome"] == "skipped"]
    assert {verdict["case"] for verdict in skipped} == set(knobs.CASES)
    assert all(verdict["detail"].startswith("not for this setup: ") for verdict in skipped)
