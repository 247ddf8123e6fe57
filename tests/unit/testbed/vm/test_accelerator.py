# SPDX-License-Identifier: Apache-2.0
"""KVM is used where a kernel comes up with it, and what came of trying is remembered until the next boot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bpfbench.errors import MachineError
from bpfbench.machine import command, facts
from bpfbench.machine.command import Finished
from bpfbench.model import Accelerator, Attach
from bpfbench.testbed.image.boot import Kernel
from bpfbench.testbed.vm import accelerator

KERNEL = Kernel("trixie", "0" * 16, "trixie", "6.12", "6.12-1", (Attach.KPROBE,), {}, "/vmlinuz", "/initrd", "/disk")


class TestAccelerator:
    """A probe that ends as a test wants, in place of a boot."""

    @pytest.fixture(autouse=True)
    def device(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
        device = tmp_path / "kvm"
        device.touch()
        monkeypatch.setattr(accelerator, "DEVICE", device)
        return device

    @pytest.fixture
    def boots(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """What the console says when a kernel is booted; empty, it does not come up."""
        console: list[str] = []
        self.tries = 0

        def run(*_: object, on_line: object, **__: object) -> Finished:
            self.tries += 1
            assert callable(on_line)
            for line in console:
                on_line(line)
            return Finished(-6, "KVM internal error. Suberror: 1\nemulation failure\n")

        monkeypatch.setattr(command, "run", run)
        return console

    def test_kvm_is_used_where_a_kernel_comes_up(self, tmp_path: Path, boots: list[str]) -> None:
        boots += ["[    0.1] Linux", f"[    1.2] {accelerator.TELLING}"]
        assert accelerator.choose(tmp_path, Accelerator.AUTO, KERNEL) is Accelerator.KVM

    def test_a_device_that_boots_nothing_ends_in_emulation_with_its_reason(
        self, tmp_path: Path, boots: list[str]
    ) -> None:
        boots.append("[    0.1] Linux")
        assert accelerator.choose(tmp_path, Accelerator.AUTO, KERNEL) is Accelerator.TCG
        probe = accelerator.known(tmp_path)
        assert probe is not None
        assert probe.reason == "a kernel cannot be booted (KVM internal error. Suberror: 1)"

    def test_what_came_of_it_is_remembered_until_the_machine_is_rebooted(
        self, tmp_path: Path, boots: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert not boots
        for _ in range(3):
            accelerator.choose(tmp_path, Accelerator.AUTO, KERNEL)
        assert self.tries == 1
        monkeypatch.setattr(facts, "boot_id", lambda: "another")
        assert accelerator.known(tmp_path) is None
        accelerator.choose(tmp_path, Accelerator.AUTO, KERNEL)
        assert self.tries == 2

    def test_kvm_that_is_asked_for_and_does_not_work_is_an_error(self, tmp_path: Path, boots: list[str]) -> None:
        assert not boots
        with pytest.raises(MachineError, match=r"^KVM does not work here: a kernel cannot be booted") as caught:
            accelerator.choose(tmp_path, Accelerator.KVM, KERNEL)
        assert caught.value.hint == "--accelerator auto goes on without it, emulated"

    def test_without_the_device_nothing_is_tried(self, tmp_path: Path, boots: list[str], device: Path) -> None:
        boots.append(accelerator.TELLING)
        device.unlink()
        assert accelerator.choose(tmp_path, Accelerator.AUTO, KERNEL) is Accelerator.TCG
        assert self.tries == 0

    def test_emulation_that_is_asked_for_tries_nothing(self, tmp_path: Path, boots: list[str]) -> None:
        assert not boots
        assert accelerator.choose(tmp_path, Accelerator.TCG, KERNEL) is Accelerator.TCG
        assert self.tries == 0

    @pytest.mark.parametrize("text", ["", "{", json.dumps({"boot_id": 1})])
    def test_a_spoilt_memory_is_no_memory(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "kvm.json").write_text(text)
        assert accelerator.known(tmp_path) is None
