# SPDX-License-Identifier: Apache-2.0
"""overhead: what is wrong with a command line is told before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from invoked import Invoke, complaint

# The entry point reads sys.argv, as the command does.
pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked without tokens")

TRUE = ("--target", "true")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("none", "--target", "no-such-command"), "option --target 'no-such-command': no command 'no-such-command'"),
        (("no-such-tracer -x", *TRUE), "tracer 'no-such-tracer -x': no command 'no-such-tracer' is found"),
        (TRUE, "no tracer is given"),
        (("none", *TRUE, "--rounds", "0"), "option --rounds: 0 is out of range; valid is 1 or more"),
        (("none", *TRUE, "--margin", "0"), "option --margin: 0 is out of range"),
        (("none", *TRUE, "--for", "soon"), "option --for: 'soon' is no time; write a number and s, min or h"),
        (("none", *TRUE, "--timeout", "1"), "option --timeout: '1' is no time"),
        (("none", *TRUE, "--export", "x.csv"), "option --export: 'x.csv' is no .json or .md file"),
        (("none", *TRUE, "--metric", "tps"), "option --metric: 'tps' is not NAME[:UNIT[:more|less]]=/REGULAR"),
        (("none", *TRUE, "--prepare", "no-such-command"), "option --prepare 'no-such-command': no command"),
        (("none", *TRUE, "--together"), "option --together: 1 tracers; it takes 2 to 4"),
        (("true", "none", *TRUE, "--together"), "option --together: 'none' is no company for a tracer; leave it out"),
        ((*["true"] * 5, *TRUE, "--together"), "option --together: 5 tracers; it takes 2 to 4"),
        (("true", *TRUE, "--server", "1", "--serve", "true"), "choose one of --server (it runs already), --serve"),
        (("true", *TRUE, "--serve", "no-such-command"), "option --serve 'no-such-command': no command"),
        (("cat /proc/{server}/stat", *TRUE), "there is no server that {server} could be; give --server or --serve"),
        (("none", *TRUE, "--json", "--markdown"), "choose one of --json, --markdown"),
    ],
)
def test_what_is_wrong(bpfbench: Invoke, words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    assert message in complaint(bpfbench("overhead", *words))
    assert not (tmp_path / "runs").exists()


def test_a_target_is_asked_for(bpfbench: Invoke) -> None:
    assert "--target" in complaint(bpfbench("overhead", "none"))
