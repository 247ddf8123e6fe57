# SPDX-License-Identifier: Apache-2.0
"""A campaign refuses what would waste hours, has the machine to itself, and runs what has no record."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from builders import make_brought, make_executable, make_failure, make_image, make_record
from rich.console import Console

from bpfbench.codec import to_json
from bpfbench.declare import estimate, plan, study
from bpfbench.declare.plan import Needs
from bpfbench.errors import LostError, MachineError, StoreError, StudyError
from bpfbench.machine import facts
from bpfbench.machine.facts import Storage
from bpfbench.model import (
    Accelerator,
    Attach,
    DrivenTarget,
    Paths,
    Placement,
    Predecessor,
    Record,
    Sources,
    Status,
    Step,
    Study,
    Tool,
    Trial,
    TrialSpec,
)
from bpfbench.run import campaign
from bpfbench.run.progress import Pace, ProgressReporter
from bpfbench.run.stage import Means
from bpfbench.store import Run
from bpfbench.testbed import image as images
from bpfbench.testbed.base import Ground, Testbed
from bpfbench.testbed.host import Headers, HostTestbed
from bpfbench.testbed.image import Bootable, Image
from bpfbench.testbed.image.boot import Kernel
from bpfbench.testbed.vm.testbed import VmTestbed

GIB = 2**30
SMALL = replace(
    (SMOKE := study.load(study.find("smoke"))),
    factors=replace(SMOKE.factors, setups=("libbpf",), tools=SMOKE.factors.tools[:1], workloads=("read",)),
)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> dict[str, Storage]:
    """Every directory lies on one large ext4 unless a test puts it elsewhere, by the directory's name."""
    disks: dict[str, Storage] = {}
    default = Storage("/", 1, "/dev/vda", "ext4", 10**15)
    monkeypatch.setattr(facts, "storage", lambda path: replace(disks.get(path.name, default), path=str(path)))
    monkeypatch.setattr(facts, "memory_available_bytes", lambda: 10**12)
    return disks


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """An image with a libbpf tracer."""
    (tmp_path / "tracers" / "libbpf").mkdir(parents=True)
    (tmp_path / "tracers" / "libbpf" / "tracer").touch()
    return make_image(key="0" * 16, tracers=str(tmp_path / "tracers"))


def on_host(image: Image, folder: Path) -> HostTestbed:
    """The testbed of this machine's kernel."""
    return HostTestbed(image, Headers("none"), folder / "data", folder / "output")


def start(tmp_path: Path, image: Image, declared: Study = SMALL, testbed: Testbed | None = None) -> Run:
    testbed = testbed or on_host(image, tmp_path)
    return campaign.start(declared, plan.unroll(declared), testbed, tmp_path / "runs" / "r1")


class TestFit:
    @pytest.mark.usefixtures("disk")
    def test_what_fits_is_begun(self, tmp_path: Path, image: Image) -> None:
        assert start(tmp_path, image).info.trials_planned == 2

    @pytest.mark.parametrize("filesystem", ["tmpfs", "ramfs", "zfs"])
    def test_data_whose_pages_cannot_be_dropped_are_refused(
        self, tmp_path: Path, image: Image, disk: dict[str, Storage], filesystem: str
    ) -> None:
        disk["data"] = Storage("", 2, "none", filesystem, 10**15)
        with pytest.raises(MachineError) as caught:
            start(tmp_path, image)
        assert caught.value.message.startswith(f"{tmp_path}/data is on {filesystem}, ")
        assert caught.value.hint == "choose a directory on a disk with --data-dir"
        assert not (tmp_path / "runs").exists()

    def test_output_may_go_to_memory(self, tmp_path: Path, image: Image, disk: dict[str, Storage]) -> None:
        disk["output"] = Storage("", 2, "none", "tmpfs", 10**15)
        start(tmp_path, image)

    def test_a_real_tmpfs_is_known_for_one(self, tmp_path: Path, image: Image) -> None:
        shm = Path("/dev/shm")
        if f" {shm} tmpfs " not in Path("/proc/self/mounts").read_text():
            pytest.skip("/dev/shm is no tmpfs here")
        with pytest.raises(MachineError, match=r"is on tmpfs"):
            start(tmp_path, image, testbed=on_host(image, shm / "bpfbench-none"))

    @pytest.mark.usefixtures("disk")
    @pytest.mark.parametrize(("placement", "ok"), [(Placement.PAPER, False), (Placement.SHARED, True)])
    def test_the_papers_placement_wants_two_cpus(
        self, tmp_path: Path, image: Image, monkeypatch: pytest.MonkeyPatch, placement: Placement, ok: bool
    ) -> None:
        one_cpu = {**facts.gather(), "cpus": 1}
        monkeypatch.setattr(facts, "gather", lambda: one_cpu)
        declared = replace(SMALL, settings=replace(SMALL.settings, placement=placement))
        if ok:
            start(tmp_path, image, declared)
        else:
            with pytest.raises(MachineError, match="this machine has one"):
                start(tmp_path, image, declared)


@pytest.fixture
def tracer(tmp_path: Path) -> Path:
    """A tracer of the user's own."""
    return make_executable(tmp_path / "mine" / "tracer", "one")


@pytest.fixture
def brought(tracer: Path) -> Study:
    """A study that brings a setup and runs it beside ours."""
    own = make_brought("own", (str(tracer), "-x"))
    return replace(SMALL, setups=(own,), factors=replace(SMALL.factors, setups=("own", "libbpf")))


class TestBrought:
    """Setups that the study brings."""

    def test_an_executable_is_known_by_its_content(self, brought: Study, tracer: Path) -> None:
        assert campaign.digests(brought) == {"own": hashlib.sha256(b"one").hexdigest()}
        tracer.touch()
        assert campaign.digests(brought) == {"own": hashlib.sha256(b"one").hexdigest()}
        tracer.write_text("two")
        assert campaign.digests(brought) == {"own": hashlib.sha256(b"two").hexdigest()}

    def test_a_study_of_our_setups_has_no_executables(self) -> None:
        assert campaign.digests(SMALL) == {}

    def test_files_of_a_target_are_known_by_their_content(self, tmp_path: Path) -> None:
        command = ("sh", "-c", "cat '{files}/drive.sql' {files}/more | {files}/drive {files} {data}")
        target = DrivenTarget("own", "drive", command, files=str(tmp_path), shares_files=True)
        for name in ("drive", "drive.sql", "more", "another"):
            (tmp_path / name).write_text(name)
        digests = campaign.digests(replace(SMALL, targets=(target,)))
        assert digests == {
            str(tmp_path / name): hashlib.sha256(name.encode()).hexdigest() for name in ("drive.sql", "more", "drive")
        }
        assert campaign.digests(replace(SMALL, targets=(replace(target, shipped=True),))) == {}
        (tmp_path / "more").unlink()
        with pytest.raises(StudyError, match=f"^target own: {tmp_path}/more cannot be read: No such"):
            campaign.digests(replace(SMALL, targets=(target,)))

    def test_a_folder_of_a_targets_own_is_known_by_all_that_is_in_it_but_runs(self, tmp_path: Path) -> None:
        target = DrivenTarget("own", "drive", ("{files}/drive",), files=str(tmp_path))
        for name in ("drive", "helper"):
            (tmp_path / name).write_text(name)

        def digest() -> str:
            ((folder, found),) = campaign.digests(replace(SMALL, targets=(target,))).items()
            assert folder == str(tmp_path)
            return found

        before = digest()
        (tmp_path / "runs" / "r").mkdir(parents=True)
        for name in ("runs/r/run.json", "runs/r/record.json", "helper.pyc"):
            (tmp_path / name).touch()
        assert digest() == before
        (tmp_path / "helper").write_text("another")
        assert digest() != before
        (tmp_path / "helper").write_text("helper")
        assert digest() == before
        (tmp_path / "more").touch()
        assert digest() != before

    def test_an_executable_that_is_gone_is_told_with_the_setup(self, brought: Study, tracer: Path) -> None:
        tracer.unlink()
        with pytest.raises(StudyError) as caught:
            campaign.digests(brought)
        assert caught.value.message == f"setup own: {tracer} cannot be read: No such file or directory"

    @pytest.mark.usefixtures("disk")
    def test_which_executable_ran_is_kept_with_the_run(self, tmp_path: Path, image: Image, brought: Study) -> None:
        run = start(tmp_path, image, brought)
        assert Run(run.path).info.executables == {"own": hashlib.sha256(b"one").hexdigest()}
        assert Run(run.path).info.study == brought


class TestSame:
    """A run goes on only under the circumstances it began under."""

    @pytest.fixture
    def run(
        self,
        tmp_path: Path,
        image: Image,
        brought: Study,
        disk: dict[str, Storage],
        monkeypatch: pytest.MonkeyPatch,
    ) -> Run:
        assert not disk
        monkeypatch.setattr(images, "with_key", lambda _, key: image if key == image.key else None)
        return start(tmp_path, image, brought)

    def test_where_nothing_changed_it_goes_on_with_its_image(self, run: Run, image: Image, tmp_path: Path) -> None:
        assert campaign.same_image(run, tmp_path) == image

    def test_with_another_executable_it_does_not(self, run: Run, tracer: Path, tmp_path: Path) -> None:
        tracer.write_text("two")
        with pytest.raises(StoreError) as caught:
            campaign.same_image(run, tmp_path)
        assert caught.value.message == f"{run.path}: began with another executable of setup own"
        assert caught.value.hint == "start a new run"

    def test_with_another_file_of_a_target_it_does_not(self, tmp_path: Path, image: Image, run: Run) -> None:
        (tmp_path / "drive").write_text("one")
        target = DrivenTarget("own", "drive", ("{files}/drive",), files=str(tmp_path), shares_files=True)
        driven = start(tmp_path / "driven", image, replace(SMALL, targets=(target,)))
        assert campaign.same_image(driven, tmp_path) == campaign.same_image(run, tmp_path)
        (tmp_path / "drive").write_text("two")
        with pytest.raises(StoreError, match=f"began with another content of {tmp_path}/drive"):
            campaign.same_image(driven, tmp_path)

    def test_it_goes_on_with_the_packages_it_began_with_or_not_at_all(
        self, tmp_path: Path, image: Image, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert run.path.exists()
        began = replace(image, parts=("nginx-1",))
        driven = start(tmp_path / "driven", began, SMALL)
        there = {("nginx-1",): began}
        monkeypatch.setattr(images, "with_key", lambda _, __, parts=(): there.get(parts) if parts else image)
        monkeypatch.setattr(images, "completed", lambda *_: replace(image, parts=("nginx-2",)))
        means = Means(tmp_path, Sources(), Console())
        assert campaign.same_image_completed(driven, means, lambda *_: None) == began
        there.clear()
        with pytest.raises(StoreError, match=r"began with nginx-1, which .* has no more$"):
            campaign.same_image_completed(driven, means, lambda *_: None)

    def test_with_the_executable_as_it_was_it_goes_on_again(self, run: Run, tracer: Path, tmp_path: Path) -> None:
        tracer.write_text("two")
        tracer.write_text("one")
        campaign.same_image(run, tmp_path)

    def test_without_the_executable_it_does_not(self, run: Run, tracer: Path, tmp_path: Path) -> None:
        tracer.unlink()
        with pytest.raises(StudyError, match=r"^setup own: .* cannot be read: No such file or directory$"):
            campaign.same_image(run, tmp_path)

    def test_without_its_image_it_does_not(self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(images, "with_key", lambda *_: None)
        with pytest.raises(StoreError, match=rf"began with image {'0' * 16}, which is not in .* any more$"):
            campaign.same_image(run, tmp_path)

    @pytest.mark.parametrize("what", ["host", "kernel", "cpus", "cpu_model"])
    def test_on_another_machine_or_kernel_it_does_not(
        self, run: Run, image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
    ) -> None:
        campaign.require_same_machine(run, on_host(image, tmp_path))
        other = {**facts.gather(), what: "other"}
        monkeypatch.setattr(facts, "gather", lambda: other)
        with pytest.raises(StoreError, match=rf": began with {what} .*, here is other$"):
            campaign.require_same_machine(run, on_host(image, tmp_path))


KERNEL = Kernel(
    name="trixie",
    key="1" * 16,
    suite="trixie",
    release="6.12.1-amd64",
    version="6.12.1-1",
    hooks=(Attach.KPROBE, Attach.FENTRY, Attach.TRACEPOINT),
    config={},
    vmlinuz="/k/vmlinuz",
    initrd="/k/initrd",
    disk="/k/kernel.ext4",
)
IN_VMS = replace(SMALL, testbed="vm", hosts=("vm1", "vm2"), factors=replace(SMALL.factors, kernels=("trixie",)))


def in_vms(
    image: Image, folder: Path, accelerator: Accelerator = Accelerator.TCG, key: str = KERNEL.key, study: Study = IN_VMS
) -> VmTestbed:
    """The testbed of virtual machines, none of which is up."""
    paths = Paths(str(folder / "data"), str(folder / "output"))
    ground = Ground(replace(study, paths=paths), image, folder, Sources(), lambda *_: None)
    return VmTestbed(ground, Bootable(Path("/d/root.ext4"), (replace(KERNEL, key=key),)), accelerator)


class TestVirtualMachines:
    @pytest.fixture
    def run(self, tmp_path: Path, image: Image, disk: dict[str, Storage], monkeypatch: pytest.MonkeyPatch) -> Run:
        assert not disk
        monkeypatch.setattr(images, "with_key", lambda *_: image)
        return start(tmp_path, image, IN_VMS, in_vms(image, tmp_path))

    def test_a_run_tells_on_what_it_ran(self, run: Run) -> None:
        told = run.info.machine
        assert (told["accelerator"], told["emulated"]) == ("tcg", True)
        assert told["kernels"]["trixie"]["release"] == "6.12.1-amd64"
        assert told["kernels"]["trixie"]["hooks"] == ["kprobe", "fentry", "tracepoint"]

    def test_it_goes_on_whatever_kernel_the_machine_itself_runs(
        self, run: Run, image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = {**facts.gather(), "kernel": "other"}
        monkeypatch.setattr(facts, "gather", lambda: other)
        assert campaign.same_image(run, tmp_path) == image
        campaign.require_same_machine(run, in_vms(image, tmp_path))

    def test_with_another_kernel_or_accelerator_it_does_not(self, run: Run, image: Image, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match=r"began with another build of kernel trixie$"):
            campaign.require_same_machine(run, in_vms(image, tmp_path, key="2" * 16))
        with pytest.raises(StoreError, match=r"began with accelerator tcg, here is kvm$"):
            campaign.require_same_machine(run, in_vms(image, tmp_path, Accelerator.KVM))

    def test_the_disks_hold_every_data_set_and_the_largest_output(self) -> None:
        sizes = campaign.disks(IN_VMS, plan.unroll(IN_VMS))
        assert sizes.data == sum(workload.total_bytes for workload in plan.data_sets(plan.unroll(IN_VMS)))
        assert sizes.output == plan.needs(plan.unroll(IN_VMS), IN_VMS).output_bytes

    @pytest.mark.usefixtures("disk")
    def test_the_papers_placement_wants_two_cpus_of_the_machine(self, tmp_path: Path, image: Image) -> None:
        one = replace(
            IN_VMS,
            machine=replace(IN_VMS.machine, cpus=1),
            settings=replace(IN_VMS.settings, placement=Placement.PAPER),
        )
        with pytest.raises(MachineError, match="the virtual machine has one"):
            start(tmp_path, image, one, in_vms(image, tmp_path, study=one))


class TestRoom:
    NEEDS = Needs(seconds=1.0, data_bytes=8 * GIB, output_bytes=4 * GIB, memory_bytes=GIB)
    DATA, OUTPUT = Path("/x/data"), Path("/x/output")

    @pytest.mark.parametrize(("free", "ok"), [(12 * GIB, True), (12 * GIB - 1, False)])
    def test_on_one_file_system_data_and_output_need_room_together(
        self, disk: dict[str, Storage], free: int, ok: bool
    ) -> None:
        # One file system may have several names: the number tells, not the device's name.
        disk["data"], disk["output"] = Storage("", 7, "/dev/a", "ext4", free), Storage("", 7, "/dev/b", "ext4", free)
        self.check(0, ok)

    @pytest.mark.parametrize(
        ("data_free", "output_free", "ok"),
        [(8 * GIB, 4 * GIB, True), (8 * GIB - 1, 4 * GIB, False), (8 * GIB, 4 * GIB - 1, False)],
    )
    def test_on_two_each_needs_its_own_also_where_both_have_the_same_name(
        self, disk: dict[str, Storage], data_free: int, output_free: int, ok: bool
    ) -> None:
        disk["data"] = Storage("", 7, "tmpfs", "tmpfs", data_free)
        disk["output"] = Storage("", 8, "tmpfs", "tmpfs", output_free)
        self.check(0, ok)

    def test_data_files_that_are_there_need_no_more_room(self, disk: dict[str, Storage]) -> None:
        disk["data"] = disk["output"] = Storage("", 7, "/dev/a", "ext4", 4 * GIB)
        self.check(8 * GIB, True)
        self.check(8 * GIB - 1, False)

    @pytest.mark.usefixtures("disk")
    def test_memory_must_be_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(facts, "memory_available_bytes", lambda: GIB - 1)
        with pytest.raises(MachineError, match=r"of memory is available; this study wants 1\.0 GiB"):
            campaign.require_room(self.NEEDS, self.DATA, self.OUTPUT, 0)

    def check(self, laid_out: int, ok: bool) -> None:
        if ok:
            campaign.require_room(self.NEEDS, self.DATA, self.OUTPUT, laid_out)
        else:
            with pytest.raises(MachineError, match="free; this study wants"):
                campaign.require_room(self.NEEDS, self.DATA, self.OUTPUT, laid_out)


@dataclass
class FakeTestbed(HostTestbed):
    """Notes what it is asked for; `spoilt` trials fail, and `lost` ones lose their machine before they begin."""

    spoilt: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()
    warms_up: bool = True
    boots_blocks: bool = False
    interrupted_at: str | None = None
    steps: tuple[Step, ...] | None = None
    """Of spoilt trials whose fio has no result; None: those of which only a check failed."""
    specs: dict[str, TrialSpec] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def lay_out(self, spec: TrialSpec, progress: Any) -> None:  # noqa: ARG002
        if spec.trial.id in self.lost:
            raise LostError("the virtual machine was lost")
        self.calls.append("lay out")

    def give_up(self, spec: TrialSpec, reason: str, record_dir: Path, started_at: str = "") -> Record:  # noqa: ARG002
        self.calls.append(f"give up {spec.trial.id}")
        record = replace(make_failure(spec.trial, reason), fio=None)
        (record_dir / "record.json").write_text(to_json(record))
        return record

    def run(self, spec: TrialSpec, record_dir: Path, progress: Any) -> Record:  # noqa: ARG002
        trial = spec.trial
        self.calls.append(trial.id)
        self.specs[trial.id] = spec
        if trial.id == self.interrupted_at:
            raise KeyboardInterrupt
        record = make_failure(trial, "spoilt") if trial.id in self.spoilt else make_record(trial)
        if trial.id in self.spoilt and self.steps is not None:
            record = replace(record, fio=None, steps=self.steps)
        (record_dir / "record.json").write_text(to_json(record))
        return record

    @property
    def ran(self) -> list[str]:
        """The ids of the trials that were run, warm-ups among them."""
        return list(self.specs)


class Silent(ProgressReporter):
    """Notes what trials it is told of, and says nothing."""

    def __init__(self) -> None:
        super().__init__(Console(file=io.StringIO()))
        self.began: list[tuple[str, int, int]] = []
        self.left_s: list[float] = []
        self.ended: list[tuple[str, int, int]] = []

    def trial_began(self, trial: Trial, done: int, total: int, left_s: float) -> None:
        self.left_s.append(left_s)
        self.began.append((trial.id, done, total))

    def trial_ended(self, record: Record, seconds: float, done: int, total: int, left_s: float) -> None:
        assert seconds >= 0
        assert left_s >= 0
        self.ended.append((record.trial.id, done, total))


def warm(trial_id: str) -> str:
    """The id of the warm-up for a trial."""
    return f"{trial_id}-warm-up"


class TestExecute:
    @pytest.fixture
    def run(self, tmp_path: Path, image: Image, disk: dict[str, Storage]) -> Run:
        assert not disk
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(campaign, "FOLLOWED_LEAST_BYTES", 1)
            return start(tmp_path, image, replace(SMALL, output_limit_bytes=12345))

    def test_every_trial_is_run_once(self, run: Run) -> None:
        testbed = FakeTestbed()
        campaign.execute(run, testbed, Silent())
        ids = [trial.id for trial in run.plan()]
        assert testbed.calls == ["lay out", warm(ids[0]), *ids]
        campaign.execute(run, testbed, Silent())
        assert testbed.calls[4:] == []

    def test_failed_trials_are_run_again_only_if_that_is_asked_for(self, run: Run) -> None:
        bad = run.plan()[1].id
        campaign.execute(run, FakeTestbed(frozenset({bad})), Silent())
        untouched, testbed = FakeTestbed(), FakeTestbed()
        campaign.execute(run, untouched, Silent())
        assert untouched.calls == []
        campaign.execute(run, testbed, Silent(), retry_failed=True)
        assert testbed.calls == ["lay out", warm(bad), bad]
        assert {record.status for record in run.records()} == {Status.OK}
        assert run.superseded() == 1

    def test_a_machine_that_is_lost_before_a_trial_fails_it_and_nothing_else(self, run: Run) -> None:
        first, second = (trial.id for trial in run.plan())
        testbed = FakeTestbed(lost=frozenset({first}), warms_up=False)
        campaign.execute(run, testbed, Silent())
        assert testbed.calls == [f"give up {first}", "lay out", second]
        assert [record.status for record in run.records()] == [Status.FAILED, Status.OK]
        assert run.records()[0].reason == "the virtual machine was lost"

    def test_one_that_is_lost_before_a_warm_up_fails_that_alone(self, run: Run) -> None:
        first, second = (trial.id for trial in run.plan())
        testbed = FakeTestbed(lost=frozenset({warm(first)}))
        campaign.execute(run, testbed, Silent())
        assert testbed.calls[:3] == [f"give up {warm(first)}", "lay out", first]
        assert [record.status for record in run.warm_ups()][:1] == [Status.FAILED]
        assert [record.status for record in run.records()] == [Status.OK, Status.OK]
        assert testbed.ran == [first, second]

    def test_after_a_failed_trial_data_files_are_looked_at_again(self, run: Run) -> None:
        first, second = (trial.id for trial in run.plan())
        testbed = FakeTestbed(frozenset({first}))
        campaign.execute(run, testbed, Silent())
        assert testbed.calls == ["lay out", warm(first), first, "lay out", second]

    def test_while_another_is_running_it_nothing_is_touched(self, run: Run) -> None:
        testbed = FakeTestbed(frozenset(trial.id for trial in run.plan()))
        campaign.execute(run, testbed, Silent())
        calls = list(testbed.calls)
        with run.locked(), pytest.raises(StoreError, match="another bpfbench is running this"):
            campaign.execute(run, testbed, Silent(), retry_failed=True)
        assert testbed.calls == calls
        assert run.superseded() == 0


class TestOutputDisk:
    """A trial is told what its output may take of the disk only where it can outgrow that."""

    @pytest.mark.parametrize(("tool", "outgrows"), [(Tool.SYSCOUNT, False), (Tool.RW_TRACER, True)])
    def test_a_trial_that_can_outgrow_the_studys_limit_is_told(
        self,
        tmp_path: Path,
        image: Image,
        disk: dict[str, Storage],
        monkeypatch: pytest.MonkeyPatch,
        tool: Tool,
        outgrows: bool,
    ) -> None:
        assert not disk
        monkeypatch.setattr(campaign, "FOLLOWED_LEAST_BYTES", 1)
        declared = replace(SMALL, output_limit_bytes=12345, factors=replace(SMALL.factors, tools=(tool,)))
        run, testbed = start(tmp_path, image, declared), FakeTestbed()
        campaign.execute(run, testbed, Silent())
        limits = {trial_id: spec.output_disk_bytes for trial_id, spec in testbed.specs.items()}
        traced = [trial.id for trial in run.plan() if not trial.is_vanilla]
        assert {limits[trial_id] for trial_id in traced} == {12345 if outgrows else None}
        assert {limit for trial_id, limit in limits.items() if trial_id not in traced} == {None}

    def test_a_bound_that_cannot_be_kept_is_refused_where_it_bounds_anything(self) -> None:
        large = replace(SMALL, factors=replace(SMALL.factors, tools=(Tool.RW_TRACER,)))
        trials = plan.unroll(large).trials
        campaign.require_bound(replace(large, output_limit_bytes=2**50), trials)
        with pytest.raises(StudyError, match="output_limit_bytes: 12345 is less than the 268435456 bytes"):
            campaign.require_bound(replace(large, output_limit_bytes=12345), trials)
        kept = replace(large, settings=replace(large.settings, keep_output=True))
        with pytest.raises(StudyError, match=r"given back to the disk, and settings\.keep_output keeps it"):
            campaign.require_bound(replace(kept, output_limit_bytes=12345), trials)
        campaign.require_bound(kept, trials)

    @pytest.mark.parametrize(("more", "told"), [(-1, True), (0, False), (1, False)])
    def test_one_that_just_fits_is_not(self, more: int, told: bool) -> None:
        declared = replace(SMALL, factors=replace(SMALL.factors, tools=(Tool.RW_TRACER,)))
        (trial,) = (trial for trial in plan.unroll(declared).trials if not trial.is_vanilla)
        limit = plan.output_bytes(trial) + more
        found = campaign.output_disk_bytes(trial, replace(declared, output_limit_bytes=limit))
        assert found == (limit if told else None)

    def test_a_study_without_a_limit_sets_none(self) -> None:
        (trial,) = (trial for trial in plan.unroll(SMALL).trials if not trial.is_vanilla)
        assert campaign.output_disk_bytes(trial, replace(SMALL, output_limit_bytes=None)) is None


class TestWarmUps:
    """A discarded vanilla trial wherever a trial would find what another workload left."""

    MANY = replace(
        SMALL, repetitions=2, factors=replace(SMALL.factors, tools=SMOKE.factors.tools[:2], workloads=("read", "write"))
    )

    @pytest.fixture
    def run(self, tmp_path: Path, image: Image, disk: dict[str, Storage]) -> Run:
        """Two repetitions of two workloads under two tools."""
        assert not disk
        return start(tmp_path, image, self.MANY)

    def warmed_up(self, run: Run) -> list[str]:
        """The ids of the trials that a warm-up comes before, by the workload alone."""
        trials = run.plan()
        pairs = zip(trials, (None, *trials), strict=False)
        return [trial.id for trial, before in pairs if before is None or before.workload != trial.workload]

    def test_one_comes_before_the_first_trial_and_where_the_workload_changes(self, run: Run) -> None:
        testbed = FakeTestbed()
        campaign.execute(run, testbed, Silent())
        wanted: list[str] = []
        for trial in run.plan():
            wanted += [warm(trial.id)] if trial.id in self.warmed_up(run) else []
            wanted.append(trial.id)
        assert testbed.ran == wanted
        assert 1 < len(self.warmed_up(run)) < len(run.plan())
        assert len({trial.block for trial in run.plan()}) > len(self.warmed_up(run)), "not before every block"

    @pytest.mark.parametrize(
        "factor",
        [{"processes": (1, 2)}, {"scale": (1 / 2**20, 1 / 2**21)}, {"rate_iops": (None, 2000)}],
        ids=["processes", "size", "rate"],
    )
    def test_size_and_rate_are_part_of_the_workload(
        self, tmp_path: Path, image: Image, disk: dict[str, Storage], factor: dict[str, Any]
    ) -> None:
        assert not disk
        run, testbed = start(tmp_path, image, replace(SMALL, factors=replace(SMALL.factors, **factor))), FakeTestbed()
        campaign.execute(run, testbed, Silent())
        first, _, third, _ = (trial.id for trial in run.plan())
        assert [trial_id for trial_id in testbed.ran if trial_id.endswith("-warm-up")] == [warm(first), warm(third)]

    @pytest.mark.usefixtures("disk")
    def test_other_hosts_and_kernels_are_warmed_up_too(
        self, tmp_path: Path, image: Image, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(images, "with_key", lambda *_: image)
        declared = replace(IN_VMS, repetitions=4)
        run, testbed = (
            start(tmp_path, image, declared, in_vms(image, tmp_path, Accelerator.KVM, study=declared)),
            FakeTestbed(),
        )
        campaign.execute(run, testbed, Silent())
        trials = run.plan()
        changes = [
            trial.id
            for trial, before in zip(trials, (None, *trials), strict=False)
            if before is None or before.host != trial.host
        ]
        assert len(changes) > 1
        assert [i for i in testbed.ran if i.endswith("-warm-up")] == list(map(warm, changes))

    def test_where_nothing_is_left_to_the_next_trial_there_are_none(self, run: Run) -> None:
        testbed = FakeTestbed(warms_up=False)
        campaign.execute(run, testbed, Silent())
        assert testbed.ran == [trial.id for trial in run.plan()]
        assert run.warm_ups() == ()

    def test_a_machine_that_has_just_booted_is_warmed_up_for_every_block(self, run: Run) -> None:
        testbed = FakeTestbed(boots_blocks=True)
        campaign.execute(run, testbed, Silent())
        firsts = [
            trial.id
            for trial, before in zip(run.plan(), (None, *run.plan()), strict=False)
            if before is None or before.block != trial.block
        ]
        assert [i for i in testbed.ran if i.endswith("-warm-up")] == list(map(warm, firsts))
        assert all(testbed.specs[warm(trial_id)].predecessor is None for trial_id in firsts)

    def test_one_counts_nowhere(self, run: Run) -> None:
        reporter, ids = Silent(), [trial.id for trial in run.plan()]
        campaign.execute(run, FakeTestbed(), reporter)
        total = len(ids)
        assert reporter.ended == [(trial_id, number + 1, total) for number, trial_id in enumerate(ids)]
        assert [began for began in reporter.began if began[0] in ids] == [
            (trial_id, number, total) for number, trial_id in enumerate(ids)
        ]
        assert {began for began in reporter.began if began[0] not in ids} == {
            (warm(trial_id), ids.index(trial_id), total) for trial_id in self.warmed_up(run)
        }
        assert [record.trial.id for record in run.records()] == ids
        assert run.done() == set(ids)
        assert len(run.plan()) == run.info.trials_planned == total

    def test_the_time_that_is_left_counts_those_to_come(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(estimate, "seconds", lambda _: lambda _: 1.0)
        reporter = Silent()
        monkeypatch.setattr(Pace, "add", lambda *_: None)
        campaign.execute(run, FakeTestbed(), reporter)
        in_all = len(run.plan()) + len(self.warmed_up(run))
        assert reporter.left_s == list(range(in_all, 0, -1))

    def test_its_record_is_kept_apart(self, run: Run) -> None:
        campaign.execute(run, FakeTestbed(), Silent())
        records = run.warm_ups()
        assert {record.trial.id for record in records} == set(map(warm, self.warmed_up(run)))
        assert all(record.trial.is_vanilla and record.trial.warm_up for record in records)

    def test_a_record_says_what_was_before_it_and_its_place_in_the_block(self, run: Run) -> None:
        testbed = FakeTestbed()
        campaign.execute(run, testbed, Silent())
        before: list[Trial] = []
        for trial in run.plan():
            if warm(trial.id) in testbed.specs:
                warm_up = testbed.specs[warm(trial.id)]
                assert warm_up.predecessor == (campaign.predecessor(before[-1]) if before else None)
                assert warm_up.place is None
            spec = testbed.specs[trial.id]
            assert spec.predecessor is not None
            if trial.id in self.warmed_up(run):
                expected = Predecessor(warm(trial.id), "vanilla", trial.tool, trial.workload, warm_up=True)
                assert spec.predecessor == expected
            else:
                last = before[-1]
                assert spec.predecessor == Predecessor(last.id, last.setup, last.tool, last.workload, warm_up=False)
            before.append(trial)
        places = [testbed.specs[trial.id].place for trial in run.plan()]
        assert places == [1, 2] * (len(run.plan()) // 2)

    def test_a_run_that_is_resumed_in_the_middle_of_a_block_is_warmed_up_again(self, run: Run) -> None:
        first, second, *_ = run.plan()
        assert first.block == second.block
        stopped, testbed = FakeTestbed(interrupted_at=second.id), FakeTestbed()
        with pytest.raises(KeyboardInterrupt):
            campaign.execute(run, stopped, Silent())
        assert run.done() == {first.id}
        campaign.execute(run, testbed, Silent())
        assert testbed.ran[:2] == [warm(second.id), second.id]
        assert testbed.specs[warm(second.id)].predecessor is None
        assert testbed.specs[second.id].place == 2, "in the block as planned"
        names = {path.name for path in (run.path / "warm-ups").iterdir()}
        assert {f"{warm(first.id)}.0", f"{warm(second.id)}.0"} <= names

    def test_a_warm_up_that_is_run_again_is_kept_beside_the_one_before(self, run: Run) -> None:
        first = run.plan()[0].id
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                campaign.execute(run, FakeTestbed(interrupted_at=first), Silent())
        assert sorted(path.name for path in (run.path / "warm-ups").iterdir()) == [
            f"{warm(first)}.0",
            f"{warm(first)}.1",
        ]
        assert run.done() == frozenset()

    @pytest.mark.parametrize(
        ("steps", "again"),
        [((), True), (("prepare", "start", "workload", "leftovers"), True), (("prepare", "start"), False)],
        ids=["the runner or the machine was lost", "fio did not end", "fio never began"],
    )
    def test_what_a_fio_left_that_was_cut_short_is_warmed_over(
        self, run: Run, steps: tuple[str, ...], again: bool
    ) -> None:
        first, second, *_ = (trial.id for trial in run.plan())
        testbed = FakeTestbed(frozenset({first}), steps=tuple(Step(name, 1.0) for name in steps))
        campaign.execute(run, testbed, Silent())
        assert testbed.ran[:3] == [warm(first), first, warm(second) if again else second]

    def test_one_that_was_interrupted_is_run_again(self, run: Run) -> None:
        first = run.plan()[0].id
        with pytest.raises(KeyboardInterrupt):
            campaign.execute(run, FakeTestbed(interrupted_at=warm(first)), Silent())
        assert run.warm_ups() == ()
        assert not (run.path / "partial").exists()
        testbed = FakeTestbed()
        campaign.execute(run, testbed, Silent())
        assert testbed.ran[:2] == [warm(first), first]

    def test_failed_ones_are_not_run_again_with_the_failed_trials(self, run: Run) -> None:
        first = run.plan()[0].id
        campaign.execute(run, FakeTestbed(frozenset({warm(first)})), Silent())
        testbed = FakeTestbed()
        campaign.execute(run, testbed, Silent(), retry_failed=True)
        assert testbed.ran == []
        assert run.superseded() == 0
