# SPDX-License-Identifier: Apache-2.0
"""What a virtual machine's disks are made of: packed whole, without names, and no larger than they must be."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest
from builders import make_executable

from bpfbench.errors import MachineError
from bpfbench.testbed.vm import disks

MIB = 2**20


@pytest.fixture
def tracers(tmp_path: Path) -> Path:
    make_executable(tmp_path / "tracers" / "libbpf" / "tracer", "the tracer")
    return tmp_path / "tracers"


def packed(tracers: Path, brought: dict[str, Path], folder: Path) -> dict[str, tarfile.TarInfo]:
    with disks.code(tracers, brought, folder) as file:
        file.seek(0)
        with tarfile.open(fileobj=file) as archive:
            return {entry.name: entry for entry in archive}


class TestCode:
    def test_it_has_ourselves_the_tracers_and_what_is_brought(self, tmp_path: Path, tracers: Path) -> None:
        own = make_executable(tmp_path / "mine" / "own-tracer", "mine")
        entries = packed(tracers, {"own": own.parent}, tmp_path)
        assert {
            "src/bpfbench/inside/agent.py",
            "src/bpfbench/inside/guest-init",
            "tracers/libbpf/tracer",
            "run/setups/own/own-tracer",
        } <= set(entries)
        for name in ("src/bpfbench/inside/guest-init", "src/bpfbench/inside/guest-enter", "tracers/libbpf/tracer"):
            assert entries[name].mode & 0o111, name

    def test_whoever_packs_it_it_is_roots(self, tmp_path: Path, tracers: Path) -> None:
        entries = packed(tracers, {}, tmp_path)
        assert {(entry.uid, entry.gid, entry.uname) for entry in entries.values()} == {(0, 0, "root")}

    def test_byte_code_stays_here(self, tmp_path: Path, tracers: Path) -> None:
        assert not [name for name in packed(tracers, {}, tmp_path) if "__pycache__" in name]

    def test_a_folder_too_large_for_memory_is_refused(
        self, tmp_path: Path, tracers: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(disks, "MOST_BROUGHT_BYTES", 3 * MIB)
        own = make_executable(tmp_path / "mine" / "tracer")
        with (tmp_path / "mine" / "large").open("wb") as file:
            file.truncate(4 * MIB)
        with pytest.raises(MachineError, match=r"^setup own: .*/mine has 4 MiB") as caught:
            packed(tracers, {"own": own.parent}, tmp_path)
        assert caught.value.hint is not None
        assert "3 MiB" in caught.value.hint
        with pytest.raises(MachineError, match=r"^packages of big: .*/mine has 4 MiB"):
            packed(tracers, {"packages+big": own.parent}, tmp_path)


class TestScratch:
    def test_it_has_no_name_and_takes_no_room(self, tmp_path: Path) -> None:
        with disks.scratch(1000 * MIB, tmp_path) as file:
            status = os.fstat(file.fileno())
            assert status.st_nlink == 0
            assert status.st_size >= 1000 * MIB
            assert status.st_blocks == 0
        assert list(tmp_path.iterdir()) == []

    def test_it_can_be_opened_by_who_inherits_it(self, tmp_path: Path) -> None:
        with disks.scratch(0, tmp_path) as file:
            Path(disks.inherited(file)).write_bytes(b"x")
            file.seek(0)
            assert file.read() == b"x"


class TestDataDisk:
    def test_every_host_and_size_has_its_own_and_it_is_kept(self, tmp_path: Path) -> None:
        path = disks.make_data_disk(tmp_path, "vm1", 64 * MIB)
        assert path == disks.data_disk(tmp_path, "vm1", 64 * MIB)
        with path.open("r+b") as file:
            file.write(b"kept")
        assert disks.make_data_disk(tmp_path, "vm1", 64 * MIB).read_bytes()[:4] == b"kept"
        others = {disks.data_disk(tmp_path, "vm2", 64 * MIB), disks.data_disk(tmp_path, "vm1", 65 * MIB)}
        assert len({path, *others}) == 3

    def test_one_that_was_left_short_is_made_whole(self, tmp_path: Path) -> None:
        path = disks.data_disk(tmp_path, "vm1", 64 * MIB)
        path.parent.mkdir()
        path.touch()
        assert disks.make_data_disk(tmp_path, "vm1", 64 * MIB).stat().st_size == disks.with_spare(64 * MIB)

    @pytest.mark.parametrize("size", [0, 1, 64 * MIB, 100 * 1024 * MIB])
    def test_there_is_room_for_the_file_system_too_in_whole_mib(self, size: int) -> None:
        assert disks.with_spare(size) >= size * 1.05 + 256 * MIB
        assert disks.with_spare(size) % MIB == 0
