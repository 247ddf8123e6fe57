# SPDX-License-Identifier: Apache-2.0
"""The libbpf tracer, broken in one way each. `scripts/test` builds them all and shows that the suite catches each."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bpfbench.machine import command
from bpfbench.testbed import sandbox
from bpfbench.testbed.image import Image
from bpfbench.testbed.image.libraries import TRACERS
from bpfbench.testbed.sandbox import INSIDE, Bind, Sandbox

KERNEL, PROGRAMS, COUNT = "common/rw.bpf.h", "common/rw.bpf.c", "common/syscount.bpf.c"
HOOKS, RINGS, RING = "common/rw_hooks.bpf.h", "common/rw_ring.bpf.h", "libbpf/ring.c"
PROFILE, PROFILER = "common/fs_profile.bpf.c", "libbpf/fs_profile.c"
PERF_KERNEL, PERF = "common/rw_perf.bpf.h", "libbpf/perf.c"
FOLLOW, RECORD, SUMMARY, OUTPUT = "libbpf/rw.c", "libbpf/record.c", "libbpf/summary.c", "libbpf/output.c"
STOP, RUN, TRACER, OPTIONS = "libbpf/stop.c", "libbpf/run.c", "libbpf/tracer.c", "libbpf/options.c"

TEXT_OR_BINARY = "\tif (run->options.format == TEXT)\n\t\trecord_event_text"


@dataclass(frozen=True)
class Mutant:
    """One edit of the sources, and the cases of which at least one has to fail by it."""

    name: str
    """That of the setup it makes, too."""
    file: str
    old: str
    new: str
    caught_by: frozenset[str]
    attach: str = "tracepoint"
    """By which hook it is broken."""

    @property
    def tools(self) -> str:
        """What it is tried as: fs-profile where that is broken."""
        of_profile = self.file in (PROFILE, PROFILER) or self.name.startswith("profile-")
        return 'tools = "fs-profile"\nformats = "text"\n' if of_profile else 'formats = "binary"\n'


def mutant(name: str, file: str, old: str, new: str, *caught_by: str, attach: str = "tracepoint") -> Mutant:
    return Mutant(name, file, old, new, frozenset(caught_by), attach)


MUTANTS = (
    mutant(
        "skips-one-in-a-thousand",
        FOLLOW,
        TEXT_OR_BINARY,
        "\tstatic int seen;\n\tif (++seen % 1000 == 0)\n\t\treturn 0;\n" + TEXT_OR_BINARY,
        "events",
    ),
    mutant(
        "skips-one-and-says-it-saved-it",
        FOLLOW,
        TEXT_OR_BINARY,
        "\tstatic int seen;\n\tif (++seen % 1000 == 0) {\n\t\trun->output.saved++;\n\t\treturn 0;\n\t}\n"
        + TEXT_OR_BINARY,
        "events",
    ),
    mutant(
        "skips-one-and-never-intercepted-it",
        KERNEL,
        "\tcount_one(&c->intercepted[op]);\n\n#ifdef",
        "\tif (exit_ns % 256 == 0)\n\t\treturn;\n\tcount_one(&c->intercepted[op]);\n\n#ifdef",
        "events",
    ),
    mutant(
        "reports-one-twice",
        FOLLOW,
        TEXT_OR_BINARY,
        "\tstatic int seen;\n\tif (++seen == 1000)\n\t\ton_event(context, data, size);\n" + TEXT_OR_BINARY,
        "events",
    ),
    mutant("offset-off-by-one", KERNEL, "event->offset = call->offset;", "event->offset = call->offset + 1;", "events"),
    mutant(
        "offset-of-32-bits", KERNEL, "event->offset = call->offset;", "event->offset = (__u32)call->offset;", "events"
    ),
    mutant("errors-are-zero", KERNEL, "event->ret = ret;", "event->ret = ret < 0 ? 0 : ret;", "events"),
    mutant(
        "pid-and-tid-swapped",
        KERNEL,
        "event->pid = id >> 32;\n\tevent->tid = (__u32)id;",
        "event->pid = (__u32)id;\n\tevent->tid = id >> 32;",
        "events",
    ),
    mutant(
        "no-latency", KERNEL, "event->exit_ns = exit_ns;", "event->exit_ns = exit_ns ? call->enter_ns : 0;", "events"
    ),
    mutant("reads-are-writes", KERNEL, "event->op = op;", "event->op = !op;", "events"),
    mutant(
        "payload-from-its-second-byte",
        KERNEL,
        "read_payload(event + 1, call->buf, ret)",
        "read_payload(event + 1, call->buf + 1, ret)",
        "events",
    ),
    mutant(
        "half-a-name",
        KERNEL,
        "bpf_probe_read_kernel_str(event->name, sizeof(event->name), name)",
        "bpf_probe_read_kernel_str(event->name, sizeof(event->name) / 2, name)",
        "events",
    ),
    mutant("stale-payload", RECORD, "memset(to + filled, 0, size - filled);", "(void)filled;", "events", "overflow"),
    mutant(
        "half-a-comm-compared",
        "common/target.bpf.h",
        "comm[0] == target_comm[0] && comm[1] == target_comm[1]",
        "comm[0] == target_comm[0]",
        "events",
        "counts",
    ),
    mutant(
        "pwrite64-unseen",
        HOOKS,
        'SEC("tracepoint/syscalls/sys_enter_pwrite64")',
        'SEC("tracepoint/syscalls/sys_enter_pwritev")',
        "events",
    ),
    mutant(
        "claims-to-lose-nothing",
        SUMMARY,
        '"  \\"saved\\": %" PRIu64 ",\\n", run->output.saved);',
        '"  \\"saved\\": %" PRIu64 ",\\n", run->output.saved + run->ring_full);\n\t((struct run *)run)->ring_full = 0;',
        "overflow",
    ),
    mutant(
        "counts-only-what-it-saves",
        KERNEL,
        "\tif (!event) {\n\t\tcount_one(&c->ring_full);\n\t\treturn;\n\t}",
        "\tif (!event) {\n\t\t__sync_fetch_and_add(&c->intercepted[op], -1);\n\t\treturn;\n\t}",
        "overflow",
    ),
    mutant(
        "map-full-is-nothing",
        KERNEL,
        "\t\tcount_one(&c->intercepted[op]);\n\t\tcount_one(&c->map_full);",
        "\t\t;",
        "join map full",
    ),
    mutant(
        "a-pipe-is-no-file",
        OUTPUT,
        "write(file->fd, data + done, size - done)",
        "pwrite(file->fd, data + done, size - done, file->bytes + done)",
        "pipe",
    ),
    mutant("undrained", RING, "\terr = empty(c);", "\terr = 0;", "drain"),
    mutant(
        "a-watermark-that-never-flushes",
        RING,
        "\terr = empty(c);",
        "\terr = run->options.wakeup == WATERMARK ? 0 : empty(c);",
        "wake-ups",
    ),
    mutant(
        "wakes-whom-it-should-not",
        RINGS,
        "\t\treturn BPF_RB_NO_WAKEUP;\n",
        "\t\treturn 0;\n",
        "wake-ups",
    ),
    mutant(
        "a-watermark-and-no-clock",
        RING,
        "sizeof(awaited[0]), options->poll_ms);",
        "sizeof(awaited[0]), options->wakeup == WATERMARK ? -1 : (int)options->poll_ms);",
        "wake-ups",
    ),
    mutant(
        "an-edge-and-one-record",
        RING,
        "\t\tfound = empty(c);\n\t\tall += found;\n\t} while (found > 0);",
        "\t\tfound = ring__consume_n(ring_buffer__ring(c->rings, 0), 1);\n\t\tall += found;\n\t} while (false);",
        "edges",
    ),
    mutant(
        "an-edge-by-level",
        "libbpf/edge.c",
        "{.events = EPOLLIN | EPOLLET};",
        "{.events = EPOLLIN};",
        "edges",
    ),
    mutant(
        "a-ring-that-nobody-reads",
        FOLLOW,
        "consumers = through_rings(run, rw.skeleton, fds, rings, on_event);",
        "consumers = through_rings(run, rw.skeleton, fds, rings > 1 ? rings - 1 : rings, on_event);",
        "rings",
    ),
    mutant(
        "a-thread-in-many-rings",
        RINGS,
        "tid % ring_count;",
        "(bpf_ktime_get_ns() >> 10) % ring_count;",
        "rings",
    ),
    mutant(
        "threads-share-a-buffer",
        RING,
        "(struct consumer){.run = run, .all = all, .output = &c->own};",
        "(struct consumer){.run = run, .all = all, .output = &run->output};",
        "rings",
    ),
    mutant(
        "a-buffer-as-ever",
        TRACER,
        "output_create(&run->output, &run->file, run->options.output_bytes);",
        "output_create(&run->output, &run->file, 65536);",
        "output buffer",
    ),
    mutant(
        "drops-what-is-larger-than-its-buffer",
        OUTPUT,
        "\toutput->used += size;\n",
        "\tif (size > output->limit)\n\t\treturn;\n\toutput->used += size;\n",
        "larger than the buffer",
    ),
    mutant(
        "records-of-one-size",
        KERNEL,
        "\tif (variable_records) {",
        "\tif (variable_records && !payload_bytes) {",
        "short records",
    ),
    mutant(
        "a-payload-from-the-start-of-its-record",
        RINGS,
        "bpf_probe_read_user_dynptr(record, RW_EVENT_BYTES, bytes, from)",
        "bpf_probe_read_user_dynptr(record, RW_EVENT_BYTES - 4, bytes, from)",
        "variable records",
    ),
    mutant(
        "a-perf-buffer-that-nobody-reads",
        PERF,
        "perf_buffer__consume(c->buffers)",
        "perf_buffer__consume_buffer(c->buffers, 0)",
        "perf buffers",
    ),
    mutant(
        "a-perf-buffer-that-is-never-drained",
        PERF,
        "taken_since(c, before, perf_buffer__consume(c->buffers))",
        "c->draining ? 0 : taken_since(c, before, perf_buffer__consume(c->buffers))",
        "perf buffers",
        "perf wake-ups",
    ),
    mutant(
        "a-perf-buffer-that-wakes-at-each-event",
        PERF,
        "\tif (options->wakeup != ADAPTIVE) {",
        "\tif (options->wakeup == WATERMARK) {",
        "perf wake-ups",
    ),
    mutant(
        "a-perf-buffer-that-loses-nothing",
        PERF_KERNEL,
        "\treturn !bpf_perf_event_output(ctx, ring, BPF_F_CURRENT_CPU, event, bytes);",
        "\tbpf_perf_event_output(ctx, ring, BPF_F_CURRENT_CPU, event, bytes);\n\treturn true;",
        "perf overflow",
        "perf buffers",
    ),
    mutant(
        "a-perf-buffer-that-loses-twice",
        PERF,
        "\tif (event->type != PERF_RECORD_SAMPLE)\n\t\treturn LIBBPF_PERF_EVENT_CONT;",
        "\tif (event->type != PERF_RECORD_SAMPLE) {\n\t\tc->output->lost += ((__u64 *)event)[2];\n"
        "\t\treturn LIBBPF_PERF_EVENT_CONT;\n\t}",
        "perf overflow",
        "perf buffers",
    ),
    mutant("counts-known-numbers-only", COUNT, "\tif (!is_target())", "\tif (number > 500 || !is_target())", "counts"),
    mutant(
        "loses-the-race-for-an-entry",
        COUNT,
        "\t\tbpf_map_update_elem(&counts, &number, &none, BPF_NOEXIST);\n",
        "\t\tif (bpf_map_update_elem(&counts, &number, &none, BPF_NOEXIST) && number >= 2000)\n\t\t\treturn 0;\n",
        "first calls",
        # It does not see the numbers of a full map either, and counts no loss.
        "count map full",
    ),
    mutant("sees-itself", TRACER, "\tprctl(PR_SET_NAME, comm);", "\t(void)comm;", "own comm"),
    mutant("ready-though-told-to-stop", RUN, "\tif (stop_signal)\n\t\treturn;\n", "", "before READY"),
    mutant("deaf-to-a-second-signal", STOP, "\t\t_exit(128 + signal);", "\t\treturn;", "second signal"),
    mutant(
        "fine-with-a-full-disk",
        OUTPUT,
        "\t\t\tfile->error = errno;\n\t\t\tbreak;",
        "\t\t\treturn size;",
        "full device",
        "full disk",
    ),
    mutant(
        "cuts-a-long-comm",
        OPTIONS,
        "\tif (length < 1 || length >= sizeof(o->target_comm))",
        "\tif (length >= sizeof(o->target_comm))\n\t\tlength = sizeof(o->target_comm) - 1;\n\tif (length < 1)",
        "options",
    ),
    mutant(
        "misses-no-kretprobe",
        RUN,
        "\trun->missed += info.perf_event.kprobe.missed;\n\treturn info.perf_event.kprobe.missed;",
        "\treturn 0;",
        "missed",
        attach="kprobe",
    ),
    mutant(
        "position-of-the-file-alone",
        PROGRAMS,
        "\tif (pos)\n",
        "\tif (!file)\n",
        "events",
        attach="fentry",
    ),
    mutant(
        "profile-forgets-a-file",
        PROFILER,
        "\t\tif (found[i].sum.count)\n",
        "\t\tif (found[i].sum.count && found[i].key.inode % 64)\n",
        "profile",
        "profile map full",
    ),
    mutant(
        "profile-forgets-a-file-and-counts-it-elsewhere",
        PROFILE,
        "\tstruct fs_latency *value = file ? latency_of(key) : NULL;",
        "\tstruct fs_latency *value = file && key->inode % 64 ? latency_of(key) : NULL;",
        "profile",
    ),
    mutant(
        "profile-a-slot-too-high",
        PROFILE,
        "\tvalue->slots[slot_of(ns)]++;",
        "\tvalue->slots[slot_of(2 * ns)]++;",
        "profile",
        "slow calls",
    ),
    mutant(
        "profile-max-of-the-last",
        PROFILE,
        "\tif (ns > value->max_ns)\n",
        "",
        "profile",
    ),
    mutant(
        "profile-one-cpu-alone",
        PROFILER,
        "\t\tfor (int cpu = 0; cpu < cpus; cpu++)\n\t\t\tadd_cpu(&found[RW_OPS + i].sum, &values[i * cpus + cpu]);",
        "\t\tadd_cpu(&found[RW_OPS + i].sum, &values[i * cpus]);",
        "slow calls overflow",
    ),
    mutant(
        "profile-drops-others",
        PROFILER,
        "\t\tadd_cpu(&found[op].sum, &values[cpu]);",
        "\t\t(void)values[cpu];",
        "profile",
        "profile map full",
    ),
    mutant(
        "profile-a-stack-of-nothing",
        PROFILE,
        "bpf_get_stack(ctx, slow->stack, sizeof(slow->stack), 0)",
        "0",
        "slow calls",
    ),
    mutant(
        "profile-a-record-of-one-length",
        PROFILE,
        "offsetof(struct fs_slow, stack) + stack_bytes, 0)",
        "sizeof(*slow), 0)",
        "slow calls",
    ),
    mutant(
        "profile-top-as-it-comes",
        PROFILER,
        "\tqsort(found, count, sizeof(*found), by_calls);\n",
        "\t(void)by_calls;\n",
        "profile",
        "profile map full",
    ),
    mutant(
        "profile-top-counts-twice",
        PROFILE,
        "\t\tcount_one(&use->calls);\n",
        "\t\tcount_one(&use->calls);\n\t\tcount_one(&use->calls);\n",
        "profile",
    ),
    mutant(
        "profile-loses-no-slow-call",
        PROFILE,
        "\t\tcount_one(&c->ring_full);",
        "\t\t;",
        "slow calls overflow",
    ),
    mutant(
        "leaves-a-process",
        TRACER,
        "\ttrace(&run);",
        "\tif (!fork()) {\n\t\tclose(1);\n\t\tclose(2);\n\t\tpause();\n\t\t_exit(0);\n\t}\n\ttrace(&run);",
        "counts",
    ),
)


CALLERS = ("tracer", "rw")
"""The files of which a mutant calls what only ``unistd.h`` declares: ``fork``, ``sleep``."""


def built(image: Image, mutant: Mutant, place: Path) -> str:
    """Build a mutant and return its setup as a study has it."""
    sources = place / mutant.name / "sources"
    for folder in ("common", "libbpf"):
        shutil.copytree(TRACERS / folder, sources / folder)
    for file, old, new in (
        (mutant.file, mutant.old, mutant.new),
        ("libbpf/summary.c", '\\"setup\\": \\"" SETUP "\\"', f'\\"setup\\": \\"{mutant.name}\\"'),
        *(
            (f"libbpf/{name}.c", "#include <string.h>\n", "#include <string.h>\n#include <unistd.h>\n")
            for name in CALLERS
        ),
    ):
        text = (sources / file).read_text()
        assert text.count(old) == 1, f"{mutant.name}: not once in {file}: {old}"
        (sources / file).write_text(text.replace(old, new))
    out = place / mutant.name / "out"
    out.mkdir()
    binds = (Bind(str(sources), f"{INSIDE}/build"), Bind(str(out), f"{INSIDE}/out", writable=True))
    inside = Sandbox(root=image.root, binds=binds, workdir=f"{INSIDE}/build/libbpf")
    finished = command.run(sandbox.argv(inside, ("./build", f"{INSIDE}/out", "libbpf")))
    assert finished.status == 0, f"{mutant.name}: {finished.stderr}"
    return f'[setups.{mutant.name}]\ncommand = "{out}/libbpf/tracer"\nattaches = "{mutant.attach}"\n{mutant.tools}'


def study(image: Image, mutants: Sequence[Mutant], place: Path) -> Path:
    """Build mutants, and return the study that brings them."""
    with ThreadPoolExecutor() as pool:
        setups = "".join(pool.map(lambda mutant: built(image, mutant, place), mutants))
    names = json.dumps([mutant.name for mutant in mutants])
    path = place / "mutants.toml"
    path.write_text(f'name = "mutants"\n[factors]\nsetups = {names}\nworkloads = "read"\n{setups}')
    return path


def representatives(mutants: Iterable[Mutant]) -> tuple[Mutant, ...]:
    """Return those of which each is to be caught by a case that none before it is."""
    found: list[Mutant] = []
    for mutant in mutants:
        if mutant.caught_by - frozenset[str]().union(*(own.caught_by for own in found)):
            found.append(mutant)
    return tuple(found)
