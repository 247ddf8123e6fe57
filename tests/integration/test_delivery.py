# SPDX-License-Identifier: Apache-2.0
"""What times the arrival of records: delays that are known, records that are torn, and tracers that wait on purpose."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from bpfbench.codec import from_json
from bpfbench.inside.trial import delivery
from bpfbench.machine import command
from bpfbench.model import Delivery, Format, Status, TracerConfig
from bpfbench.store import Run
from bpfbench.testbed import sandbox
from bpfbench.testbed.image import Image
from bpfbench.testbed.image.libraries import TRACERS
from bpfbench.testbed.sandbox import INSIDE, Bind, Sandbox

SHARED = "/tmp/delivery"
"""Where the tests' directory is, inside."""

SANITIZED = (
    "gcc -std=gnu11 -D_GNU_SOURCE -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all "
    f"-I ../audit -I ../common ./*.c -o {INSIDE}/out/delivery/delivery"
)
SANITIZER_OPTIONS = {"ASAN_OPTIONS": "detect_leaks=0:exitcode=99", "UBSAN_OPTIONS": "exitcode=99"}

TEXT, BINARY = TracerConfig(None, Format.TEXT), TracerConfig(None, Format.BINARY)
LARGE = TracerConfig(None, Format.BINARY, payload_bytes=16_384)
DAY_NS = 24 * 3600 * 10**9


def record(config: TracerConfig, exit_ns: int, number: int = 0) -> bytes:
    """Return a record of which nothing counts but when its event ended."""
    if config.format is Format.BINARY:
        return (number.to_bytes(8, "little") + exit_ns.to_bytes(8, "little")).ljust(config.event_bytes, b"\xff")
    rest = b"\t".join((b"4096", b"-1", b"fio", b"name", b"0", b"ab cd" * (number % 100)))
    return b"%d\t%d\t%b\n" % (number, exit_ns, rest)


@dataclass(frozen=True)
class Reader:
    """The program in the image, and a pipe that it reads."""

    image: Image
    place: Path
    tracers: str

    def read(self, config: TracerConfig, pieces: Iterable[bytes], since_ns: int = 0) -> Delivery:
        """Have it read what comes in pieces, and return what it found."""
        done = self.run(delivery.argv(config, 3, since_ns)[1:], pieces)
        assert done.returncode == 0, done.stderr
        return from_json(Delivery, done.stdout)

    def run(self, words: Sequence[str], pieces: Iterable[bytes]) -> subprocess.CompletedProcess[str]:
        pipe = self.place / "pipe"
        pipe.unlink(missing_ok=True)
        os.mkfifo(pipe)
        binds = (Bind(self.tracers, f"{INSIDE}/tracers"), Bind(str(self.place), SHARED, writable=True))
        inside = Sandbox(root=self.image.root, binds=binds, env=SANITIZER_OPTIONS, workdir=SHARED)
        script = f'exec "$@" 3<>{SHARED}/pipe'
        argv = sandbox.building(inside, ("sh", "-c", script, "sh", f"{INSIDE}/tracers/delivery/delivery", *words))
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
            if pieces:
                with pipe.open("wb", buffering=0) as to:  # waits until it is there
                    for piece in pieces:
                        to.write(piece)
            said, errors = running.communicate(timeout=60)
        return subprocess.CompletedProcess(argv, running.returncode, said.decode(), errors.decode())


@pytest.fixture(scope="module")
def reader(trixie: Image, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return Reader(trixie, tmp_path_factory.mktemp("delivery"), trixie.tracers)


@pytest.fixture(scope="module")
def sanitized(trixie: Image, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """Build it so that an access out of bounds, or anything undefined, ends it."""
    out = tmp_path_factory.mktemp("sanitized")
    (out / "delivery").mkdir()
    binds = (Bind(str(TRACERS), f"{INSIDE}/build"), Bind(str(out), f"{INSIDE}/out", writable=True))
    inside = Sandbox(root=trixie.root, binds=binds, workdir=f"{INSIDE}/build/delivery")
    finished = command.run(sandbox.building(inside, ("sh", "-c", SANITIZED)))
    assert finished.status == 0, finished.stderr
    return Reader(trixie, tmp_path_factory.mktemp("hostile"), str(out))


def delayed(config: TracerConfig, delays_ns: Sequence[int]) -> Iterator[bytes]:
    """Yield records, one by one, whose events ended so long ago; the machine may be younger."""
    for number, ns in enumerate(delays_ns):
        yield record(config, max(0, time.monotonic_ns() - ns), number)


@pytest.mark.parametrize("config", [TEXT, BINARY, LARGE], ids=["text", "binary", "large"])
def test_delays_are_what_they_were_made(reader: Reader, config: TracerConfig) -> None:
    up_ns = time.monotonic_ns()
    delays = [up_ns * n // 2000 for n in range(1, 1001)]  # evenly up to half of the time since boot
    random.Random(5).shuffle(delays)
    found = reader.read(config, delayed(config, delays))
    assert (found.records, found.notices, found.torn, found.impossible) == (1000, 0, 0, 0)
    assert found.delay_ns is not None
    for percent, ns in {0.5: found.delay_ns.p50, 0.99: found.delay_ns.p99}.items():
        assert ns == pytest.approx(percent * up_ns / 2, rel=0.05)
    assert found.delay_ns.ascending == tuple(sorted(found.delay_ns.ascending))
    assert found.delay_ns.min == pytest.approx(up_ns / 2000, rel=0.5)


@pytest.mark.parametrize("config", [TEXT, BINARY], ids=["text", "binary"])
def test_what_is_written_at_once_arrives_at_once_and_what_waits_has_waited(
    reader: Reader, config: TracerConfig
) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            yield record(config, time.monotonic_ns())
            time.sleep(0.001)
        ended_ns = time.monotonic_ns()
        time.sleep(0.5)
        yield record(config, ended_ns)

    found = reader.read(config, pieces()).delay_ns
    assert found is not None
    assert 0 < found.p50 < 0.1e9
    assert 0.5e9 <= found.max < 30e9


@pytest.mark.parametrize("config", [TEXT, BINARY, LARGE], ids=["text", "binary", "large"])
@pytest.mark.parametrize("piece", [1, 7, 4096, 65_536, 2**20 + 3])
def test_records_are_whole_however_they_are_cut(reader: Reader, config: TracerConfig, piece: int) -> None:
    most = 20_000 if piece < 100 else 4_000_000
    count = most // config.event_bytes + 1
    whole = b"".join(record(config, 1, number) for number in range(count))[:most]
    cut = range(0, len(whole), piece)
    found = reader.read(config, (whole[at : at + piece] for at in cut))
    records = whole.count(b"\n") if config is TEXT else len(whole) // config.event_bytes
    rest = not whole.endswith(b"\n") if config is TEXT else bool(len(whole) % config.event_bytes)
    assert (found.records, found.output_bytes, found.torn) == (records, len(whole), int(rest))


def test_notices_and_what_is_no_record_are_told_apart(reader: Reader) -> None:
    now = record(TEXT, 5)
    found = reader.read(TEXT, [now, b"Lost 7 events\n", b"12\n", b"12\tx\t\n", b"9\t99999999999999999999\t\n", now])
    assert (found.records, found.notices, found.torn) == (2, 1, 3)
    assert reader.read(TEXT, [now, b"1\t2"]).torn == 1
    assert reader.read(BINARY, [record(BINARY, 5), b"half"]).torn == 1
    assert reader.read(TEXT, [b"7" * 200_000, b"\n", now]).torn == 1


def test_an_event_ends_between_the_tracers_start_and_its_arrival(reader: Reader) -> None:
    since_ns = time.monotonic_ns()
    times = [since_ns - 1, since_ns, since_ns + DAY_NS]
    found = reader.read(BINARY, [record(BINARY, ns) for ns in times], since_ns)
    assert (found.records, found.impossible) == (3, 2)


def test_nothing_has_no_delay(reader: Reader) -> None:
    assert reader.read(TEXT, []) == Delivery(0, 0, 0, 0, 0, None)


def test_what_it_is_told_has_to_be_possible(reader: Reader) -> None:
    for words in (("3", "155", "0"), ("3", "70000", "0"), ("x", "0", "0"), ("3", "0", "-1"), ("3",)):
        done = reader.run(words, [])
        assert done.returncode == 1
        assert done.stderr.startswith("delivery: ")


def test_nothing_that_it_reads_can_harm_it(sanitized: Reader) -> None:
    rng = random.Random(11)
    words = (b"\t", b"\n", b"0", b"18446744073709551615", b"18446744073709551616", b"-1", b"\0", b"x" * 70_000)
    for config in (TEXT, BINARY, LARGE):
        pieces = [b"".join(rng.choices(words, k=200)) + rng.randbytes(rng.randrange(300_000)) for _ in range(10)]
        found = sanitized.read(config, pieces)
        assert found.output_bytes == sum(map(len, pieces))


WAITING = """
name = "waiting"
repetitions = 1
[factors]
setups = "libbpf"
tools = "rw-tracer"
workloads = "write"
attach = "tracepoint"
scale = 0.0001220703125 # 4 MiB per process: 1,024 I/Os, 1 s
rate_iops = 1000 # of each of 4 processes
output_bytes = OUTPUT
poll_ms = POLL
wakeup = WAKEUP
variants = "delay"
"""


def delay_p50_ns(place: Path, setup: str, **keys: str) -> int:
    """Run a study of the variant delay, and return what half of the events of a setup did not exceed."""
    text = WAITING
    for key, value in keys.items():
        text = text.replace(key.upper(), value)
    place.mkdir()
    (place / "study.toml").write_text(text)
    argv = [sys.executable, "-m", "bpfbench", "run", "study.toml", "--run-dir", "run", "--setups", setup]
    done = subprocess.run(argv, cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    (found,) = (own for own in Run(place / "run").records() if own.trial.setup == setup)
    assert found.status is Status.OK, found.reason
    assert found.delivery is not None
    assert found.delivery.delay_ns is not None
    return found.delivery.delay_ns.p50


@pytest.mark.usefixtures("trixie")
def test_who_is_not_woken_delivers_later(tmp_path: Path) -> None:
    woken = delay_p50_ns(tmp_path / "woken", "libbpf", output="4096", poll="500", wakeup='"adaptive"')
    asleep = delay_p50_ns(tmp_path / "asleep", "libbpf", output="4096", poll="500", wakeup='"never"')
    assert asleep > 100e6  # half of what passes between two looks, on the whole
    assert asleep > 3 * woken > 0


@pytest.mark.usefixtures("trixie")
def test_bpftrace_delivers_too(tmp_path: Path) -> None:
    found = delay_p50_ns(tmp_path / "bpftrace", "bpftrace", output="65536", poll="100", wakeup='"adaptive"')
    assert 0 < found < 10e9
