# SPDX-License-Identifier: Apache-2.0
"""Where every event has gone: worked out when bpftrace has gone, from its maps and its output."""

import dataclasses
import os
import re
import stat
from contextlib import suppress
from pathlib import Path

from bpfobjects import BpfObjects
from options import Options
from session import Traced
from summary import Account, recursion_is_counted

# A line of the output that is not a record (those begin with a digit). A warning quotes the script, indented.
NOTICE = re.compile(rb"\n(?:Lost |stdin:|Additional Info| )[^\n]*")
# Why a map took no entry. Until bpftrace 0.24, count() makes one with BPF_NOEXIST: of two CPUs that do so at once, one
# loses its event (https://github.com/bpftrace/bpftrace/issues/4068).
REFUSED = re.compile(rb": WARNING: (?:Map full;|File exists)")
CHUNK_BYTES = 1 << 20  # no line is longer


@dataclasses.dataclass
class Output:
    """What the output was found to hold."""

    records: int = 0
    map_full: int = 0
    bytes: int = 0


def tidy(name: str) -> Output:
    """Leave only whole records in the output, and count them. Reads it once; writes only what has to move up."""
    found = Output()
    with Path(name).open("r+b", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return found
        done = 0
        while True:
            chunk = os.pread(file.fileno(), CHUNK_BYTES, done)
            lines, newline, _ = chunk.rpartition(b"\n")
            if not newline:  # the end, or a last line that is not whole
                break
            lines = b"\n" + lines
            records = NOTICE.sub(b"", lines)
            if done != found.bytes or len(records) != len(lines):
                os.pwrite(file.fileno(), records[1:] + newline if records else b"", found.bytes)
            done += len(lines)
            found.bytes += len(records)
            found.records += records.count(b"\n")
            found.map_full += len(REFUSED.findall(lines)) if len(records) != len(lines) else 0
        file.truncate(found.bytes)
    return found


def unread_bytes(options: Options, traced: Traced) -> int | None:
    """What was written to an output that cannot be read afterwards, notices included; None for one that can.

    One is /dev/null. Another is followed (rule 10 of the contract): what was checked behind bpftrace is a hole by now.
    """
    followed = options.tool != "syscount" and os.environ.get("BPFBENCH_FOLLOWED") == "1"
    return Path(options.output).stat().st_size if followed and traced.null_bytes is None else traced.null_bytes


def write_error(name: str) -> str:
    """Why the output takes no more; bpftrace does not say, so by trying."""
    with Path(name).open("ab", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            file.writelines((bytes(CHUNK_BYTES), b"\0"))
        except OSError as error:
            return os.strerror(error.errno or 0)
        finally:
            with suppress(OSError):
                file.truncate(size)
    return "reason unknown"


def intercept(account: Account, kind: str, events: int) -> None:
    """Count events that the programs did not see as intercepted all the same."""
    if events:
        account.intercepted[kind] = account.intercepted.get(kind, 0) + events


def account_rw(options: Options, traced: Traced, unread: int | None) -> Account:
    """The account of rw-tracer and rw-tracer-all."""
    objects = traced.objects
    intercepted = {"read": objects.total("AT_reads"), "write": objects.total("AT_writes")}
    ring_full = objects.total("event_loss_counter")
    if unread is not None:  # taken for written: nothing fails on /dev/null, and who follows an output finds out
        return Account(intercepted, sum(intercepted.values()) - ring_full, unread, ring_full)
    output = tidy(options.output)
    account = Account(intercepted, output.records, output.bytes, ring_full, output.map_full)
    unwritten = sum(intercepted.values()) - ring_full - output.records
    if unwritten > 0:
        account.output_error = unwritten
        account.error = f"{options.output}: {write_error(options.output)}, {unwritten} events were not written"
    elif unwritten < 0:
        # The ring refuses warnings too, and the counter is the same.
        account.ring_full = ring_full + unwritten
        account.map_full = output.map_full - unwritten
        if not output.map_full:
            account.error = f"{-unwritten} more events are saved or lost than were intercepted"
    return account


def account_syscount(options: Options, traced: Traced) -> Account:
    """The account of syscount, whose output is written here."""
    objects = traced.objects
    map_full = tidy(options.output).map_full + objects.total("event_loss_counter")
    syscalls = objects.counts("AT_syscalls")
    total = sum(syscalls.values())
    text = "".join(f"{number}\t{count}\n" for number, count in sorted(syscalls.items()))
    account = Account({"syscall": total}, total, len(text), map_full=map_full, syscalls=syscalls)
    try:
        Path(options.output).write_text(text, encoding="ascii")
    except OSError as error:
        account.saved, account.bytes, account.output_error = 0, 0, total
        account.error = f"{options.output}: {error.strerror}"
        with suppress(OSError):
            os.truncate(options.output, 0)
    return account


def account_recursion(options: Options, account: Account, objects: BpfObjects) -> None:
    """What the kernel skipped, and tells."""
    if not recursion_is_counted(options.attach):
        return
    misses = objects.recursion_misses()
    if misses is None:
        account.unavailable["recursion"] = "no recursion_misses in the fdinfo of a program"
        return
    account.recursion = sum(misses.values())
    for function, missed in misses.items():
        intercept(account, kind_of(function, options), missed)


def kind_of(function: str, options: Options) -> str:
    """The kind of event that a program is for, by its function, which bpftrace names after the hook."""
    if options.tool == "syscount":
        return "syscall"
    return next((kind for kind in ("read", "write") if kind in function), "unknown")


def account_for(options: Options, traced: Traced) -> Account:
    """Where every event has gone, and what bpftrace gives no means to count."""
    unread = unread_bytes(options, traced)
    is_syscount = options.tool == "syscount"
    account = account_syscount(options, traced) if is_syscount else account_rw(options, traced, unread)
    account_recursion(options, account, traced.objects)
    if options.attach == "kprobe":
        account.missed = None
    account.explain_unknown("bpftrace")
    if unread is not None:
        account.map_full = None
        account.unavailable["map_full"] = "bpftrace tells it in its output alone, which cannot be read afterwards"
    # bpftrace's warning does not tell reads from writes.
    intercept(account, "syscall" if is_syscount else "unknown", account.map_full or 0)
    account.error = traced.error or account.error
    return account
