# SPDX-License-Identifier: Apache-2.0
"""What reads the tracers' outputs, on outputs made here: good ones have no defect, each seeded one is found by name.

Many outputs are read in one entry of the image. All are made from fixed seeds.
"""

from __future__ import annotations

import os
import random
import shlex
import struct
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import pytest

from bpfbench.codec import from_json
from bpfbench.errors import StepError
from bpfbench.inside.trial import content
from bpfbench.inside.trial.content import Expectation, TracedOutput
from bpfbench.machine import command
from bpfbench.model import BLOCK_BYTES, TARGET_COMM, Content, Format
from bpfbench.testbed import sandbox
from bpfbench.testbed.image import Image
from bpfbench.testbed.image.libraries import TRACERS
from bpfbench.testbed.sandbox import INSIDE, Bind, Sandbox

SHARED = Path("/tmp/audit")
"""Where the tests' directory is, inside."""

SANITIZED = (
    "gcc -std=gnu11 -D_GNU_SOURCE -O1 -g -pthread -fsanitize=address,undefined -fno-sanitize-recover=all "
    f"-I ../common ./*.c -o {INSIDE}/out/audit/audit"
)

SANITIZER_OPTIONS = {"ASAN_OPTIONS": "detect_leaks=0:exitcode=99", "UBSAN_OPTIONS": "exitcode=99"}
"""Its memory is freed by its end; and no status is like the program's own."""

DEV, OTHER_DEV = 8 << 20 | 1, 0 << 20 | 6
READ, WRITE = 0, 1
OPS = ("read", "write")
THREADS = ((100, 100), (100, 101), (200, 200), (200, 4_194_303))
"""(pid, tid); each has a file."""

EVENT = struct.Struct("<QQQQqQIIIIII16s64sI")

DISK_BYTES = 32 << 20


@dataclass(frozen=True)
class Record:
    """Columns in the order of the contract, with the payload last."""

    enter_ns: int
    exit_ns: int
    offset: int
    count: int
    ret: int
    inode: int
    dev: int
    pid: int
    tid: int
    op: int
    flags: int
    uid: int
    comm: bytes
    name: bytes
    payload_len: int
    payload: bytes

    def encoded(self, form: Format, room: int) -> bytes:
        if form is Format.BINARY:
            return EVENT.pack(*astuple(self)[:-1]) + self.payload.ljust(room, b"\0")
        columns = [c if isinstance(c, bytes) else b"%d" % c for c in astuple(self)[:-1]]
        return b"\t".join([*columns, *([self.payload.hex(" ").encode()] if room else [])]) + b"\n"


@dataclass(frozen=True)
class File:
    name: str
    inode: int
    content: bytes


@dataclass(frozen=True)
class Case:
    """An output, and what it is read as."""

    output: bytes
    form: Format
    room: int
    """Most bytes of payload; 0: none."""
    compared_op: str = "read"
    notices: bool = False
    profile: bool = False


@dataclass(frozen=True)
class Outcome:
    status: int
    stdout: str
    stderr: str

    @property
    def content(self) -> Content:
        assert self.status == 0, self.stderr
        assert not self.stderr
        return from_json(Content, self.stdout)


@dataclass(frozen=True)
class Audit:
    """The program in the image, beside data files that it compares outputs with."""

    image: Image
    place: Path
    files: tuple[File, ...]
    since_ns: int
    """When the tracer was started, which has never been."""

    def subject(self, case: Case, output: Path) -> TracedOutput:
        return TracedOutput(
            output=SHARED / output.relative_to(self.place),
            format=case.form,
            payload_bytes=case.room,
            data=tuple(SHARED / file.name for file in self.files),
            dev=DEV,
            since_ns=self.since_ns,
            compared_op=case.compared_op,
            compare_every=1 if case.room else 0,
            notices=case.notices,
            profile=case.profile,
        )

    def entered(self, words: Sequence[str], tracers: str | None = None) -> tuple[str, ...]:
        binds = (
            Bind(tracers or self.image.tracers, f"{INSIDE}/tracers"),
            Bind(str(self.place), str(SHARED), writable=True),
        )
        inside = Sandbox(root=self.image.root, binds=binds, env=SANITIZER_OPTIONS, workdir=str(SHARED))
        return sandbox.building(inside, words)

    def run(self, commands: Iterable[Sequence[str]], tracers: str | None = None) -> list[Outcome]:
        """Run programs inside, one after the other, with nothing on stdin."""
        lines = [
            f"{shlex.join(words)} </dev/null >{i}.stdout 2>{i}.stderr; echo $? >{i}.status"
            for i, words in enumerate(commands)
        ]
        (self.place / "batch").write_text("\n".join([*lines, ""]))
        finished = command.run(self.entered(("sh", "batch"), tracers))
        assert finished.status == 0, finished.stderr

        def read(i: int, what: str) -> str:
            return (self.place / f"{i}.{what}").read_text(errors="replace")

        return [Outcome(int(read(i, "status")), read(i, "stdout"), read(i, "stderr")) for i in range(len(lines))]

    def read(self, cases: Iterable[Case], tracers: str | None = None) -> list[Outcome]:
        """Have outputs read, one after the other."""
        commands = []
        for i, case in enumerate(cases):
            output = self.place / f"{i}.out"
            output.write_bytes(case.output)
            commands.append(content.argv(self.subject(case, output)))
        return self.run(commands, tracers)


def make_audit(image: Image, place: Path, blocks: int) -> Audit:
    rng = random.Random(13)
    files = []
    for i in range(len(THREADS)):
        path = place / f"fio.{i}"
        path.write_bytes(rng.randbytes(blocks * BLOCK_BYTES))
        files.append(File(path.name, path.stat().st_ino, path.read_bytes()))
    return Audit(image, place, tuple(files), time.monotonic_ns() - 10 * 10**9)


@pytest.fixture(scope="module")
def audit(trixie: Image, tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return make_audit(trixie, tmp_path_factory.mktemp("audit"), 12)


@pytest.fixture(scope="module")
def sanitized(trixie: Image, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Build it so that an access out of bounds, or anything undefined, ends it; return where the tracers would be."""
    out = tmp_path_factory.mktemp("sanitized")
    (out / "audit").mkdir()
    binds = (Bind(str(TRACERS), f"{INSIDE}/build"), Bind(str(out), f"{INSIDE}/out", writable=True))
    inside = Sandbox(root=trixie.root, binds=binds, workdir=f"{INSIDE}/build/audit")
    finished = command.run(sandbox.building(inside, ("sh", "-c", SANITIZED)))
    assert finished.status == 0, finished.stderr
    return str(out)


def of_data(file: File, op: int, block: int, room: int, thread: tuple[int, int], times: tuple[int, int]) -> Record:
    offset = block * BLOCK_BYTES
    payload = file.content[offset : offset + min(BLOCK_BYTES, room)]
    return Record(
        *times,
        offset,
        BLOCK_BYTES,
        BLOCK_BYTES,
        file.inode,
        DEV,
        *thread,
        op,
        0o100002,
        1000,
        TARGET_COMM.encode(),
        file.name.encode(),
        len(payload),
        payload,
    )


def of_its_own(rng: random.Random, room: int, thread: tuple[int, int], times: tuple[int, int]) -> Record:
    """Return one of the target's accesses elsewhere, which may fail, be short, or lack its payload."""
    ret = rng.choice((-11, 0, 1, 300, 20_000))
    payload = rng.randbytes(rng.choice((0, min(max(ret, 0), room))))
    name = rng.choice((b"", b"libc.so.6", b"fio", b"n" * 63, "Ärger".encode()))
    return Record(
        *times,
        rng.randrange(2**63),
        max(ret, 832),
        ret,
        rng.randrange(2**40, 2**41),
        rng.choice((DEV, OTHER_DEV, 0)),
        *thread,
        rng.randrange(2),
        0,
        0,
        TARGET_COMM.encode(),
        name,
        len(payload),
        payload,
    )


def good(audit: Audit, seed: int, room: int, compared_op: str = "read") -> list[Record]:
    """Return what four threads did: each read and wrote its file from its begin to its end, and some more."""
    rng = random.Random(seed)
    threads = dict(zip(THREADS, audit.files, strict=True))
    blocks = len(audit.files[0].content) // BLOCK_BYTES
    todo = {thread: rng.sample([READ, WRITE] * blocks, 2 * blocks) for thread in threads}
    done = {(thread, op): 0 for thread in threads for op in (READ, WRITE)}
    ended_ns = dict.fromkeys(threads, audit.since_ns)
    records = []
    while todo:
        thread = rng.choice(list(todo))
        enter_ns = ended_ns[thread] + rng.randrange(5_000)
        times = enter_ns, enter_ns + rng.randrange(100_000)
        ended_ns[thread] = times[1]
        if rng.random() < 0.1:
            records.append(of_its_own(rng, room, thread, times))
            continue
        op = todo[thread].pop()
        if not todo[thread]:
            del todo[thread]
        record = of_data(threads[thread], op, done[thread, op], room, thread, times)
        done[thread, op] += 1
        # In mixed, what was read has been overwritten since.
        overwritten = compared_op == "write" and op == READ
        records.append(replace(record, payload=rng.randbytes(record.payload_len)) if overwritten else record)
    return records


def whole(records: Iterable[Record], form: Format, room: int) -> bytes:
    return b"".join(record.encoded(form, room) for record in records)


def is_data(record: Record) -> bool:
    return record.name.startswith(b"fio.")


def expectation(records: Sequence[Record], room: int) -> Expectation:
    """Return what a trial would hold that output against, in which nothing was lost."""
    data = [record for record in records if is_data(record)]
    span_s = min(r.enter_ns for r in data) / 1e9, max(r.exit_ns for r in data) / 1e9
    return Expectation(len(data), 0, len(records) - len(data), room > 0, span_s, content.SILENCE_MOST_S)


def failed(found: Content, records: Sequence[Record], room: int) -> dict[str, str]:
    return {c.name: c.detail for c in content.checks(found, expectation(records, room), lambda _: 0.0) if not c.ok}


FORMATS = (Format.TEXT, Format.BINARY)
ROOMS = (0, 5000)
"""With 5000, binary records have room for more than a block."""


@pytest.fixture(scope="module")
def read_good(audit: Audit) -> dict[tuple[Format, int, str], tuple[list[Record], Content]]:
    records = {
        (form, room, op): good(audit, room, room, op)
        for form in FORMATS
        for room in (0, 1, 100, BLOCK_BYTES, 16_384)
        for op in OPS
    }
    cases = [Case(whole(made, form, room), form, room, op) for (form, room, op), made in records.items()]
    found = [outcome.content for outcome in audit.read(cases)]
    return dict(zip(records, zip(records.values(), found, strict=True), strict=True))


@pytest.mark.beside
class TestGood:
    def test_has_no_defect_and_passes_every_check(
        self, read_good: Mapping[tuple[Format, int, str], tuple[list[Record], Content]]
    ) -> None:
        for (form, room, op), (records, found) in read_good.items():
            assert not found.defects, (form, room, op)
            assert not failed(found, records, room), (form, room, op)

    def test_is_counted_record_by_record(
        self, read_good: Mapping[tuple[Format, int, str], tuple[list[Record], Content]]
    ) -> None:
        for (form, room, op), (records, found) in read_good.items():
            data = [record for record in records if is_data(record)]
            size = len(whole(records, form, room))
            assert (found.records, found.output_bytes, found.record_bytes) == (len(records), size, size)
            assert (found.data_reads, found.data_writes) == (len(data) // 2, len(data) // 2)
            assert found.other_records == len(records) - len(data)
            assert found.uncopied == sum(r.ret > 0 and not r.payload_len for r in records) * bool(room)
            compared = sum(OPS[r.op] == op for r in data) if room else 0
            assert found.comparable == found.compared == compared
            assert (found.first_ns, found.last_ns) == (
                min(r.exit_ns for r in data),
                max(r.exit_ns for r in data),
            )

    def test_is_nothing_to_complain_of_where_nothing_is(self, audit: Audit) -> None:
        for outcome in audit.read([Case(b"", form, room) for form in FORMATS for room in ROOMS]):
            assert (outcome.content.records, outcome.content.defects) == (0, {})
            assert outcome.content.first_ns is outcome.content.last_ns is None

    def test_may_end_with_a_page(self, audit: Audit) -> None:
        """Nothing can be read after the last line, whose payload is compared."""
        room = BLOCK_BYTES
        last = of_data(audit.files[0], READ, 0, room, THREADS[0], (audit.since_ns, audit.since_ns))

        def before(name: int, payload: int) -> Record:
            own = of_its_own(random.Random(1), room, THREADS[1], (audit.since_ns, audit.since_ns))
            return replace(own, name=b"n" * name, ret=payload, payload_len=payload, payload=bytes(payload))

        outputs = (
            whole((before(name, payload), last), Format.TEXT, room)
            for payload in range(10, 2000)
            for name in range(10, 14)
        )
        output = next(output for output in outputs if len(output) % 4096 == 0)
        (outcome,) = audit.read([Case(output, Format.TEXT, room)])
        assert (outcome.content.records, outcome.content.compared, outcome.content.defects) == (2, 1, {})


def with_changes(**changes: object) -> Callable[[list[Record], int], list[Record]]:
    """Return what changes one record: values, or functions of the record."""

    def change(records: list[Record], at: int) -> list[Record]:
        values = {name: value(records[at]) if callable(value) else value for name, value in changes.items()}
        return [*records[:at], replace(records[at], **values), *records[at + 1 :]]  # type: ignore[arg-type]

    return change


def before_in_thread(records: Sequence[Record], at: int) -> int:
    return max(i for i in range(at) if records[i].tid == records[at].tid and is_data(records[i]))


def another_block(records: list[Record], at: int) -> list[Record]:
    """Its times remain: a call that was made saw another block, or says so."""
    other = next(r for r in records if is_data(r) and r.inode == records[at].inode and r.op == records[at].op)
    return with_changes(offset=other.offset, payload=other.payload)(records, at)


def the_one_before_again(records: list[Record], at: int) -> list[Record]:
    return [*records[:at], records[before_in_thread(records, at)], *records[at + 1 :]]


def payload_before(records: list[Record], at: int) -> list[Record]:
    return with_changes(payload=records[before_in_thread(records, at)].payload)(records, at)


def enters_early(records: list[Record], at: int) -> list[Record]:
    earlier = max(r.exit_ns for r in records[:at] if r.tid == records[at].tid)
    return with_changes(enter_ns=earlier - 1)(records, at)


def later(records: list[Record], at: int) -> list[Record]:
    """All has happened two seconds later from there on."""
    held_ns = 2 * 10**9
    moved = [replace(r, enter_ns=r.enter_ns + held_ns, exit_ns=r.exit_ns + held_ns) for r in records[at:]]
    return [*records[:at], *moved]


def torn(**changes: Callable[[bytes], bytes]) -> Callable[[list[bytes], int], list[bytes]]:
    """Return what changes one record's bytes, or the last one's."""
    ((where, change),) = changes.items()

    def tear(records: list[bytes], at: int) -> list[bytes]:
        i = at if where == "middle" else len(records) - 1
        return [*records[:i], change(records[i]), *records[i + 1 :]]

    return tear


def column(number: int, value: Callable[[bytes], bytes]) -> Callable[[list[bytes], int], list[bytes]]:
    """Return what changes a column, from 1, of a line."""

    def change(line: bytes) -> bytes:
        columns = line.rstrip(b"\n").split(b"\t")
        columns[number - 1] = value(columns[number - 1])
        return b"\t".join(columns) + b"\n"

    return torn(middle=change)


WHOLE, TARGETS, BLOCKS = "records are whole", "records are the target's", "records are of whole blocks"
ONCE, LENGTH, SAME = "each block at most once", "payload is as long as asked", "payload is the file's"
ORDER, STALL = "times are in order", "no stall"


@dataclass(frozen=True)
class Seed:
    """One way for an output to be wrong, the kinds of defects that must be found, and the check that names them."""

    name: str
    kinds: frozenset[str]
    check: str
    change: Callable[[list[Record], int], list[Record]] = lambda records, _: records
    tear: Callable[[list[bytes], int], list[bytes]] = lambda records, _: records
    forms: tuple[Format, ...] = FORMATS
    rooms: tuple[int, ...] = ROOMS
    cascades: bool = False
    """Binary records have no beginning: after a torn one, nothing is what it is taken for."""


def seed(name: str, kinds: str, check: str, **more: object) -> Seed:
    return Seed(name, frozenset(kinds.split()), check, **more)  # type: ignore[arg-type]


def torn_line(name: str, tear: Callable[[list[bytes], int], list[bytes]], rooms: tuple[int, ...] = ROOMS) -> Seed:
    return Seed(name, frozenset({"torn"}), WHOLE, tear=tear, forms=(Format.TEXT,), rooms=rooms)


TEXT, BINARY, PAYLOAD = (Format.TEXT,), (Format.BINARY,), (5000,)

SEEDS = (
    seed("a duplicate beside a miss", "repeated thread_order", ONCE, change=the_one_before_again),
    seed("a block twice", "repeated", ONCE, change=another_block),
    seed("torn in the middle", "torn", WHOLE, tear=torn(middle=lambda r: r[:-10]), cascades=True),
    seed("torn at the end", "torn", WHOLE, tear=torn(end=lambda r: r[:-5])),
    torn_line("no newline at the end", torn(end=lambda r: r[:-1])),
    torn_line("half a line", torn(middle=lambda r: r[: len(r) // 2] + b"\n")),
    torn_line("a line for ever", torn(middle=lambda r: b"0" * 200_000 + r)),
    torn_line("an empty line", torn(middle=lambda r: b"\n" + r)),
    torn_line("letters in a number", column(3, lambda c: c + b"a")),
    torn_line("a sign where none is", column(4, lambda c: b"-" + c)),
    torn_line("a leading zero", column(6, lambda c: b"0" + c)),
    torn_line("a number of 65 bits", column(6, lambda _: b"18446744073709551616")),
    torn_line("a device of 33 bits", column(7, lambda _: b"4294967296")),
    torn_line("an empty column", column(5, lambda _: b"")),
    torn_line("a column too many", column(8, lambda c: c + b"\t1")),
    torn_line("a comm of 16 bytes", column(13, lambda _: b"c" * 16)),
    torn_line("a name of 64 bytes", column(14, lambda _: b"n" * 64)),
    torn_line("a payload longer than told", column(16, lambda c: c + b" 00"), rooms=PAYLOAD),
    seed(
        "no space in a payload",
        "payload",
        SAME,
        tear=column(16, lambda c: c[:2] + b"_" + c[3:]),
        forms=TEXT,
        rooms=PAYLOAD,
    ),
    seed(
        "an end of a payload that is wrong",
        "payload",
        SAME,
        change=with_changes(payload=lambda r: r.payload[:-1] + bytes([r.payload[-1] ^ 1])),
        rooms=PAYLOAD,
    ),
    seed("the payload before", "payload", SAME, change=payload_before, rooms=PAYLOAD),
    seed("a payload of zeros", "payload", SAME, change=with_changes(payload=bytes(BLOCK_BYTES)), rooms=PAYLOAD),
    seed(
        "a payload cut",
        "payload_length",
        LENGTH,
        change=with_changes(payload_len=BLOCK_BYTES - 1, payload=lambda r: r.payload[:-1]),
        rooms=PAYLOAD,
    ),
    seed(
        "a payload not copied", "payload_length", LENGTH, change=with_changes(payload_len=0, payload=b""), rooms=PAYLOAD
    ),
    seed(
        "a length beyond everything",
        "payload_length",
        LENGTH,
        change=with_changes(payload_len=2**32 - 1),
        forms=BINARY,
        rooms=PAYLOAD,
    ),
    seed(
        "more after the payload",
        "padding",
        WHOLE,
        change=with_changes(payload=lambda r: r.payload + b"\0\0x"),
        forms=BINARY,
        rooms=PAYLOAD,
    ),
    seed("more after the name", "padding identity", WHOLE, change=with_changes(name=b"fio.0\0x"), forms=BINARY),
    seed("a comm without its end", "padding comm", WHOLE, change=with_changes(comm=b"c" * 16), forms=BINARY),
    seed("an offset beside a block", "offset payload", BLOCKS, change=with_changes(offset=lambda r: r.offset + 1)),
    seed("an offset at the file's end", "offset", BLOCKS, change=with_changes(offset=12 * BLOCK_BYTES)),
    seed("an offset of -1", "offset", BLOCKS, change=with_changes(offset=2**64 - 1)),
    seed("two blocks asked for", "transfer", BLOCKS, change=with_changes(count=2 * BLOCK_BYTES)),
    seed("all there is asked for", "transfer offset", BLOCKS, change=with_changes(count=2**64 - 1)),
    seed(
        "half a block moved",
        "transfer",
        BLOCKS,
        change=with_changes(
            ret=BLOCK_BYTES // 2,
            payload_len=lambda r: r.payload_len // 2,
            payload=lambda r: r.payload[: r.payload_len // 2],
        ),
    ),
    seed("a failed call", "transfer", BLOCKS, change=with_changes(ret=-5, payload_len=0, payload=b"")),
    seed("out before it was in", "backwards", ORDER, change=with_changes(enter_ns=lambda r: r.exit_ns + 1)),
    seed("in before it was out", "thread_order", ORDER, change=enters_early),
    seed("before the tracer", "clock", ORDER, change=with_changes(enter_ns=lambda _: 1)),
    seed("yet to come", "clock", ORDER, change=with_changes(exit_ns=2**63)),
    seed("another's comm", "comm", TARGETS, change=with_changes(comm=b"fi")),
    seed("a longer comm", "comm", TARGETS, change=with_changes(comm=TARGET_COMM.encode() + b"x")),
    seed("another inode", "identity", TARGETS, change=with_changes(inode=1)),
    seed("another device", "identity", TARGETS, change=with_changes(dev=OTHER_DEV)),
    seed("another name", "identity", TARGETS, change=with_changes(name=b"passwd")),
    seed("the name of the next", "identity", TARGETS, change=with_changes(name=lambda r: b"fio.%d" % (r.tid == 100))),
    seed("a third op", "impossible", WHOLE, change=with_changes(op=2)),
    seed("a thread that cannot be", "impossible", WHOLE, change=with_changes(tid=4 << 20)),
)


def middle(records: Sequence[Record]) -> int:
    """Return where a read in the middle is, whose block is neither the first nor the last of its file."""
    inner = range(2 * BLOCK_BYTES, 10 * BLOCK_BYTES)
    return next(
        i for i, r in enumerate(records) if i > len(records) // 2 and is_data(r) and r.op == READ and r.offset in inner
    )


@dataclass(frozen=True)
class Seeded:
    """A seed in an output, which was good."""

    seed: Seed
    form: Format
    room: int

    def __str__(self) -> str:
        return f"{self.seed.name}, {self.form.value}, {self.room}"

    def case(self, records: list[Record]) -> Case:
        at = middle(records)
        changed = [r.encoded(self.form, self.room) for r in self.seed.change(records, at)]
        return Case(b"".join(self.seed.tear(changed, at)), self.form, self.room)


SEEDED = [Seeded(s, form, room) for s in SEEDS for form in s.forms for room in s.rooms]


@pytest.fixture(scope="module")
def read_seeded(audit: Audit) -> dict[Seeded, Content]:
    records = {room: good(audit, 5, room) for room in ROOMS}
    outcomes = audit.read([seeded.case(records[seeded.room]) for seeded in SEEDED])
    return {seeded: outcome.content for seeded, outcome in zip(SEEDED, outcomes, strict=True)}


@pytest.mark.beside
class TestSeeded:
    def test_every_kind_is_seeded(self) -> None:
        lines = (TRACERS / "audit/defects.c").read_text().splitlines()
        seeded = {kind for s in SEEDS for kind in s.kinds} | {kind for *_, kind, _ in PROFILE_SEEDS}
        assert seeded == {li.split('"')[1] for li in lines if '] = "' in li}

    @pytest.mark.parametrize("seeded", SEEDED, ids=str)
    def test_is_found_under_its_name_at_its_record(
        self, audit: Audit, read_seeded: Mapping[Seeded, Content], seeded: Seeded
    ) -> None:
        found = read_seeded[seeded]
        records = good(audit, 5, seeded.room)
        kinds = seeded.seed.kinds - (set() if seeded.room else {"payload"})
        if seeded.seed.cascades and seeded.form is Format.BINARY:
            assert found.defects.keys() >= kinds
            assert min(defect.record for defect in found.defects.values()) <= middle(records) + 2
        else:
            assert found.defects.keys() == kinds
            assert {defect.count for defect in found.defects.values()} == {1}
            at = len(records) if "end" in seeded.seed.name.split() and kinds == {"torn"} else middle(records) + 1
            assert {defect.record for defect in found.defects.values()} == {at}

    @pytest.mark.parametrize("seeded", SEEDED, ids=str)
    def test_fails_a_check_which_says_so(
        self, audit: Audit, read_seeded: Mapping[Seeded, Content], seeded: Seeded
    ) -> None:
        wrong = failed(read_seeded[seeded], good(audit, 5, seeded.room), seeded.room)
        assert any(f"{kind}: " in wrong[seeded.seed.check] for kind in seeded.seed.kinds)

    def test_a_stall_is_found_with_its_length(self, audit: Audit) -> None:
        records = good(audit, 5, 0)
        at = middle(records)
        stalled = later(records, at)
        for outcome in audit.read([Case(whole(stalled, form, 0), form, 0) for form in FORMATS]):
            silence = outcome.content.silences[0]
            before = max(r.exit_ns for r in records[:at] if is_data(r))
            assert not outcome.content.defects
            assert (silence.begin_ns, silence.end_ns) == (before, stalled[at].exit_ns)
            assert set(failed(outcome.content, stalled, 0)) == {STALL}

    def test_a_miss_alone_is_a_record_too_few(self, audit: Audit) -> None:
        records = good(audit, 5, 0)
        at = middle(records)
        (outcome,) = audit.read([Case(whole([*records[:at], *records[at + 1 :]], Format.BINARY, 0), Format.BINARY, 0)])
        assert not outcome.content.defects
        assert set(failed(outcome.content, records, 0)) == {TARGETS}


def slots(**counts: int) -> str:
    """Return a line's 40 slots: s19=3 is three calls in slot 19."""
    return " ".join(str(counts.get(f"s{slot}", 0)) for slot in range(40))


def profiled(audit: Audit) -> str:
    """Return what fs-profile would write of reads of whole files, two of them slow, and of three calls besides."""
    since, blocks = audit.since_ns, len(audit.files[0].content) // BLOCK_BYTES
    files = sorted(audit.files, key=lambda file: file.inode)
    lines = [
        f"slow\t{since + at}\t{since + at + 1_005_000}\t{DEV}\t{files[0].inode}\t100\t101\t0\t{BLOCK_BYTES}\t2\n"
        "ffffffff81000000\nffffffff82000001"
        for at in (0, 2_000_000)
    ]
    lines.append(f"latency\t0\t0\t1\t3\t0\t300\t100\t\t{slots(s6=3)}")
    counts = f"{blocks}\t{blocks * BLOCK_BYTES}"
    for file in files:
        name = file.name
        lines.append(f"latency\t{DEV}\t{file.inode}\t0\t{counts}\t{blocks}000000\t1010000\t{name}\t{slots(s19=blocks)}")
    lines += [f"top\t{DEV}\t{file.inode}\t{counts}" for file in files]
    return "\n".join([*lines, ""])


UP = "latencies add up"
SLOW, USED = "slow calls are slow, and have a stack", "files are used as their latencies say"

PROFILE_SEEDS = (
    ("a frame too few", "ffffffff82000001\n", "", "torn", WHOLE),
    ("a frame of the user's", "ffffffff82000001", "7f0000000000", "stack", SLOW),
    ("no stack", "\t2\nffffffff81000000\nffffffff82000001", "\t0", "stack", SLOW),
    ("a column too few", "\t4096\t2\n", "\t4096\n", "torn", WHOLE),
    ("a third op", "\t101\t0\t4096", "\t101\t2\t4096", "impossible", WHOLE),
    ("a slow call of another file", f"{DEV}\t{{first}}\t100", f"{DEV}\t1\t100", "duration", SLOW),
    ("a slot too high", slots(s6=3), slots(s7=3), "slots", UP),
    ("a call in no slot", slots(s6=3), slots(s6=2), "slots", UP),
    ("a sum too small", "\t300\t100\t", "\t191\t100\t", "slots", UP),
    ("a sum too large", "\t300\t100\t", "\t301\t100\t", "slots", UP),
    ("a slot too few", f" 0\nlatency\t{DEV}\t{{first}}", f"\nlatency\t{DEV}\t{{first}}", "torn", WHOLE),
    ("unsorted", f"latency\t{DEV}\t{{first}}\t0", "latency\t0\t0\t0", "order", WHOLE),
    ("half a block", "\t49152\t12000000", "\t49151\t12000000", "transfer", BLOCKS),
    ("another's name", "\t1010000\t{name}\t", "\t1010000\tpasswd\t", "identity", TARGETS),
    ("used more", "top\t{dev}\t{first}\t12\t49152", "top\t{dev}\t{first}\t29\t118784", "top", USED),
    ("moved less", "top\t{dev}\t{first}\t12\t49152", "top\t{dev}\t{first}\t12\t49151", "top", USED),
    ("used less, and first", "top\t{dev}\t{first}\t12", "top\t{dev}\t{first}\t11", "order", WHOLE),
    ("a notice", "top\t", "Lost 3 events\ntop\t", "torn", WHOLE),
)
"""Of fs-profile: what is put in the place of what, the kind of defect that is found, and the check that names it."""


@pytest.fixture(scope="module")
def read_profiles(audit: Audit) -> dict[str, Content]:
    good_one = profiled(audit)
    first = min(audit.files, key=lambda file: file.inode)
    names = {"{first}": str(first.inode), "{name}": first.name, "{dev}": str(DEV)}

    def edited(old: str, new: str) -> str:
        for name, value in names.items():
            old, new = old.replace(name, value), new.replace(name, value)
        assert old in good_one
        return good_one.replace(old, new, 1)

    outputs = {"": good_one} | {name: edited(old, new) for name, old, new, _, _ in PROFILE_SEEDS}
    found = audit.read([Case(text.encode(), Format.TEXT, 0, profile=True) for text in outputs.values()])
    return {name: outcome.content for name, outcome in zip(outputs, found, strict=True)}


@pytest.mark.beside
class TestProfile:
    EXPECTED = Expectation(48, 0, 3, payload=False, span_s=(0.0, 1.0), silence_most_s=None, slow=2)

    def wrong(self, found: Content) -> dict[str, str]:
        return {c.name: c.detail for c in content.checks(found, self.EXPECTED, lambda _: 0.0) if not c.ok}

    def test_a_good_one_is_counted_call_by_call(self, read_profiles: Mapping[str, Content]) -> None:
        found = read_profiles[""]
        assert not found.defects
        assert not self.wrong(found)
        assert (found.records, found.data_reads, found.data_writes, found.other_records) == (53, 48, 0, 3)
        assert found.profile is not None
        assert (found.profile.files, found.profile.other, found.profile.slow) == (5, 3, 2)
        assert (found.profile.slow_least, found.profile.slow_most) == (0, 48)

    @pytest.mark.parametrize(
        ("name", "old", "new", "kind", "check"), PROFILE_SEEDS, ids=[name for name, *_ in PROFILE_SEEDS]
    )
    def test_each_seed_is_found_by_its_kind(
        self, read_profiles: Mapping[str, Content], name: str, old: str, new: str, kind: str, check: str
    ) -> None:
        assert old != new
        assert kind in read_profiles[name].defects
        assert f"{kind}: " in self.wrong(read_profiles[name])[check]


@pytest.mark.beside
class TestNotices:
    NOTICES = (
        b"Lost 5 events\n",
        b"stdin:1:2-3: WARNING: Failed to map_update_elem: -7\n",
        b"Additional Info - helper: map_update_elem, retcode: -7\n",
        b"    kprobe:vfs_read { @x = 1 }\n",
    )

    def output(self, audit: Audit) -> tuple[list[Record], bytes]:
        records = good(audit, 6, 100)
        rng = random.Random(6)
        lines = [[r.encoded(Format.TEXT, 100), rng.choice((b"", *self.NOTICES))] for r in records]
        return records, b"".join(line for pair in lines for line in pair)

    def test_are_counted_apart_where_they_may_be(self, audit: Audit) -> None:
        records, output = self.output(audit)
        (outcome,) = audit.read([Case(output, Format.TEXT, 100, notices=True)])
        found = outcome.content
        assert not found.defects
        assert (found.records, found.output_bytes) == (len(records), len(output))
        assert found.record_bytes == len(whole(records, Format.TEXT, 100))
        assert found.notices == output.count(b"\n") - len(records) > 0

    def test_are_torn_records_elsewhere(self, audit: Audit) -> None:
        records, output = self.output(audit)
        (outcome,) = audit.read([Case(output, Format.TEXT, 100)])
        assert outcome.content.defects.keys() == {"torn"}
        assert outcome.content.defects["torn"].count == output.count(b"\n") - len(records)


class TestFollowed:  # alone, as its writer has to be the faster one
    @pytest.fixture
    def audit(self, trixie: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Audit:
        """Return one with data enough for some times the bound; what follows is started in the image."""
        made = make_audit(trixie, tmp_path, 1024)
        plain = content.argv
        monkeypatch.setattr(content, "argv", lambda subject, disk=None: made.entered(plain(subject, disk)))
        return made

    @pytest.mark.parametrize("form", FORMATS)
    def test_a_large_output_takes_little_of_the_disk(self, audit: Audit, form: Format) -> None:
        room = 16_384 if form is Format.BINARY else BLOCK_BYTES
        records = good(audit, 7, room)
        output = whole(records, form, room)
        path = audit.place / "followed.out"
        with content.audit(audit.subject(Case(b"", form, room), path), DISK_BYTES) as follower:
            write_within(output, path, DISK_BYTES * 3 // 4)
            found = follower.result()
        assert not found.defects
        assert not failed(found, records, room)
        assert (found.records, found.record_bytes) == (len(records), len(output))
        assert found.output_bytes == path.stat().st_size == len(output) > 2 * DISK_BYTES
        assert found.compared == found.data_reads == len(records_of(records, READ))
        assert found.peak_bytes is not None
        assert found.released_bytes is not None
        assert DISK_BYTES // 2 < found.peak_bytes <= DISK_BYTES  # its writer waits
        assert found.released_bytes > len(output) - DISK_BYTES
        assert path.stat().st_blocks * 512 <= DISK_BYTES
        with path.open("rb") as left:
            assert not any(left.read(found.released_bytes))
            assert left.read() == output[found.released_bytes :]

    def test_a_small_one_is_left_as_it_is(self, audit: Audit) -> None:
        records = good(audit, 8, 0)
        output = whole(records, Format.TEXT, 0)
        path = audit.place / "small.out"
        with content.audit(audit.subject(Case(b"", Format.TEXT, 0), path), DISK_BYTES) as follower:
            path.write_bytes(output[:-7])
            found = follower.result()
        assert found.released_bytes == 0
        assert found.peak_bytes == path.stat().st_blocks * 512
        assert found.defects.keys() == {"torn"}
        assert (found.records, found.defects["torn"].record) == (len(records) - 1, len(records))
        assert path.read_bytes() == output[:-7]

    def test_an_output_that_never_was_is_told(self, audit: Audit) -> None:
        subject = audit.subject(Case(b"", Format.TEXT, 0), audit.place / "none.out")
        with content.audit(subject, DISK_BYTES) as follower, pytest.raises(StepError, match="No such file"):
            follower.result()


def records_of(records: Iterable[Record], op: int) -> list[Record]:
    return [record for record in records if is_data(record) and record.op == op]


def write_within(output: bytes, path: Path, most_bytes: int) -> None:
    """Write pieces that end anywhere in a record, each when the file takes no more than so much of the disk."""
    piece = (1 << 20) + 1
    give_up_s = time.monotonic() + 60
    with path.open("wb", buffering=0) as file:
        for at in range(0, len(output), piece):
            while os.fstat(file.fileno()).st_blocks * 512 > most_bytes:
                assert time.monotonic() < give_up_s, "nothing is released"
                time.sleep(0.005)
            assert file.write(output[at : at + piece]) == len(output[at : at + piece])


ALPHABETS = (bytes(range(256)), b"0123456789\t\n", b"0123456789abcdef \t\n-", b"\0\0\0\0\0\0\0\1\xff")


def garbage(rng: random.Random) -> bytes:
    size = rng.choice((1, 100, 156, 5_000, 20_000, 100_000))
    return bytes(rng.choices(rng.choice(ALPHABETS), k=rng.randrange(size) + 1))


def mutated(rng: random.Random, output: bytes) -> bytes:
    """Change some bytes, cut some out, put some in, double some: one to four times."""
    for _ in range(rng.randrange(1, 5)):
        at, size = rng.randrange(len(output)), rng.choice((1, 1, 4, 8, 64, 1000, 70_000))
        piece = output[at : at + size]
        new = rng.choice(
            (
                rng.randbytes(len(piece)),
                bytes(rng.choices(b"0123456789\t\n", k=len(piece))),
                b"\xff" * len(piece),
                b"",
                piece + piece,
                rng.randbytes(size) + piece,
            )
        )
        output = (output[:at] + new + output[at + size :]) or b"\n"
    return output


@pytest.mark.beside
class TestGarbage:
    def read(self, audit: Audit, tracers: str, outputs: Sequence[tuple[bytes, Format, int]]) -> list[Content]:
        rng = random.Random(11)
        cases = [
            Case(output, form, room, rng.choice(OPS), notices=rng.random() < 0.3) for output, form, room in outputs
        ]
        outcomes = audit.read(cases, tracers)
        for i, outcome in enumerate(outcomes):
            assert outcome.status == 0, f"output {i}: {outcome.stderr}"
        return [outcome.content for outcome in outcomes]

    def test_is_no_record_and_no_danger(self, audit: Audit, sanitized: str) -> None:
        rng = random.Random(9)
        outputs = [(garbage(rng), rng.choice(FORMATS), rng.choice((0, 1, 100, 16_384))) for _ in range(200)]
        for (output, form, room), found in zip(outputs, self.read(audit, sanitized, outputs), strict=True):
            assert found.output_bytes == len(output)
            assert found.data_reads == found.data_writes == 0
            assert found.records == (len(output) // (EVENT.size + room) if form is Format.BINARY else 0)
            assert found.defects or found.notices

    def test_within_good_output_is_no_danger_either(self, audit: Audit, sanitized: str) -> None:
        rng = random.Random(10)
        places = [(form, room) for form in FORMATS for room in (0, 100, 5000)]
        whole_ones = {(form, room): whole(good(audit, 12, room), form, room) for form, room in places}
        outputs = [(mutated(rng, whole_ones[place]), *place) for place in rng.choices(places, k=200)]
        for (output, form, room), found in zip(outputs, self.read(audit, sanitized, outputs), strict=True):
            assert found.output_bytes == len(output)
            assert found.record_bytes <= len(output)
            if form is Format.BINARY:
                assert found.records == len(output) // (EVENT.size + room)


@pytest.mark.beside
class TestComplaints:
    def test_what_cannot_be_read_or_meant_is_one_line(self, audit: Audit, sanitized: str) -> None:
        case = Case(b"", Format.TEXT, 0)
        words = list(content.argv(audit.subject(case, audit.place / "0.out")))

        def with_option(name: str, value: str) -> list[str]:
            return [value if before == name else word for before, word in zip(["", *words], words, strict=False)]

        io = [
            with_option("--output", "none"),
            with_option("--output", "."),
            with_option("--output", "/dev/null"),
            with_option("--data", "none"),
        ]
        usage = [
            [content.AUDIT],
            [words[0], *words[3:]],
            words[:-1],
            [*words, "more"],
            [*words, "--more"],
            [*words, "-m"],
            [*words, "--follow"],
            [*words, "--disk-bytes", str(DISK_BYTES)],
            [*words, "--follow", "--disk-bytes", str(DISK_BYTES - 1)],
            with_option("--format", "json"),
            with_option("--payload-bytes", "16385"),
            with_option("--payload-bytes", "-1"),
            with_option("--comm", "c" * 16),
            with_option("--comm", ""),
            with_option("--block-bytes", "0"),
            with_option("--dev", "4294967296"),
            with_option("--since-ns", "18446744073709551616"),
            with_option("--compare-op", "fsync"),
            with_option("--compare-every", "1x"),
        ]
        (audit.place / "0.out").touch()
        for tracers in (None, sanitized):
            outcomes = audit.run([*io, *usage], tracers)
            assert [outcome.status for outcome in outcomes] == [1] * len(io) + [2] * len(usage)
            for outcome in outcomes:
                assert not outcome.stdout
                assert outcome.stderr.startswith("audit: ")
                assert outcome.stderr.count("\n") == 1
