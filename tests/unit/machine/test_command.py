# SPDX-License-Identifier: Apache-2.0
"""A process reads its stdin until it is let go."""

from __future__ import annotations

import sys
import threading

from bpfbench.machine import command
from bpfbench.machine.command import Hold

UNTIL_EOF = """\
import sys
print(sys.stdin.readline().strip(), flush=True)
sys.stdin.read()
print("end", flush=True)
"""


class TestHold:
    def test_stdin_stays_open_until_let_go(self) -> None:
        hold, said = Hold(), []

        def on_line(line: str) -> None:
            said.append((line, threading.active_count()))
            if line == "spec":
                threading.Timer(0.2, hold.let_go).start()

        finished = command.run((sys.executable, "-c", UNTIL_EOF), stdin="spec\n", on_line=on_line, hold=hold)
        assert (finished.status, [line for line, _ in said]) == (0, ["spec", "end"])

    def test_let_go_before_it_is_held(self) -> None:
        hold = Hold()
        hold.let_go()
        hold.let_go()
        said: list[str] = []
        assert (
            command.run((sys.executable, "-c", UNTIL_EOF), stdin="spec\n", on_line=said.append, hold=hold).status == 0
        )
        assert said == ["spec", "end"]
