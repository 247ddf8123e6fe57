# SPDX-License-Identifier: Apache-2.0
"""Of an output that grows, whole records are read, each once; system calls have their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from bpfbench.inside.trace import BLOCK_BYTES, Records, numbered
from bpfbench.model import Tool


class TestRecords:
    @pytest.fixture
    def output(self, tmp_path: Path) -> Path:
        path = tmp_path / "out"
        path.touch()
        return path

    def test_only_whole_lines_are_read(self, output: Path) -> None:
        records = Records(output, Tool.RW_TRACER)
        assert records.read() is None
        output.write_bytes(b"1 a\n2 b\n3")
        assert records.read() == b"1 a\n2 b\n"
        assert records.read() is None
        output.write_bytes(b"1 a\n2 b\n3 c\n")
        assert records.rest() == b"3 c\n"
        records.close()

    def test_more_than_a_block_is_read_in_parts(self, output: Path) -> None:
        content = b"".join(b"%d\n" % i for i in range(BLOCK_BYTES // 4))
        output.write_bytes(content)
        records = Records(output, Tool.RW_TRACER)
        assert len(content) > BLOCK_BYTES
        assert (records.read() or b"") + records.rest() == content
        records.close()

    @pytest.mark.parametrize("tidied", [True, False])
    def test_lines_that_are_no_records_are_left_out_whether_they_are_taken_out_or_not(
        self, output: Path, tidied: bool
    ) -> None:
        output.write_bytes(b"1 a\nLost 3 events\n\n2 b\n")
        records = Records(output, Tool.RW_TRACER)
        assert records.read() == b"1 a\n2 b\n"
        rest = b"3 c\n 4\n5 e\n"
        output.write_bytes(b"1 a\n2 b\n3 c\n5 e\n" if tidied else b"1 a\nLost 3 events\n\n2 b\n" + rest)
        assert records.rest() == b"3 c\n5 e\n"
        records.close()

    def test_a_block_of_other_lines_is_not_the_end(self, output: Path) -> None:
        output.write_bytes(b"Lost 1 events\n" * BLOCK_BYTES + b"7\n")
        records = Records(output, Tool.RW_TRACER)
        assert records.rest() == b"7\n"
        records.close()


def test_system_calls_are_named_by_the_macros_of_the_kernel() -> None:
    macros = """
#define __NR_read 63
#define __NR_fcntl __NR3264_fcntl
#define __NR3264_fcntl 25
#define __NR_syscalls 463
#define __NR_odd (__X32 + 5)
#define UNRELATED 4
"""
    assert numbered(macros) == {63: "read", 25: "fcntl"}
