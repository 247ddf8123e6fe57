# SPDX-License-Identifier: Apache-2.0
"""Why a virtual machine is lost, from what is known of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bpfbench.testbed.vm import guest

PANIC = tuple((Path(__file__).parents[3] / "data/consoles/panic.txt").read_text().splitlines())


class TestWhyLost:
    def test_a_panic_is_found_in_the_console_and_its_last_lines_are_shown(self) -> None:
        text = guest.why_lost("", 0, "", PANIC)
        assert text.startswith("the virtual machine was lost: its kernel panicked: sysrq triggered crash; ")
        assert PANIC[-1] in text
        assert PANIC[0] not in text

    @pytest.mark.parametrize(
        ("reason", "status", "errors", "expected"),
        [
            ("", -9, "", "QEMU was killed by SIGKILL"),
            ("", 0, "", "it powered off"),
            ("", 1, "qemu: hello\nqemu: no such file\n", "QEMU ended with status 1: qemu: no such file"),
            ("", 1, "", "QEMU ended with status 1: no message"),
            ("it was not done after 9 s", None, "", "it was not done after 9 s"),
        ],
    )
    def test_every_other_end_has_its_reason(self, reason: str, status: int | None, errors: str, expected: str) -> None:
        assert guest.why_lost(reason, status, errors, ()) == f"the virtual machine was lost: {expected}"

    def test_a_reason_is_one_line(self) -> None:
        assert "\n" not in guest.why_lost("", 0, "", PANIC)

    def test_a_console_is_shown_without_control_characters(self) -> None:
        assert guest.printable("\x1b[2J\x1b[1mhello\r\n") == "[2J[1mhello"
