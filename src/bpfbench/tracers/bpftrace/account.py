# SPDX-License-Identifier: Apache-2.0
"""Where every event has gone: worked out when bpftrace has gone, from its maps and its output."""

import os
from contextlib import suppress
from pathlib import Path

from aggregates import latencies, top
from bpfobjects import BpfObjects
from latencies import lines
from options import Options
from session import Traced
from summary import Account, recursion_is_counted
from written import Output, append, tidy, tidy_slow, unread_bytes, write_error


def intercept(account: Account, kind: str, events: int) -> None:
    """Count events that the programs did not see as intercepted all the same."""
    if events:
        account.intercepted[kind] = account.intercepted.get(kind, 0) + events


def account_rw(options: Options, traced: Traced, unread: int | None) -> Account:
    """The account of rw-tracer and rw-tracer-all."""
    objects = traced.objects
    intercepted = {"read": objects.total("AT_reads"), "write": objects.total("AT_writes")}
    ring_full = objects.total("event_loss_counter")
    if unread is not None:  # taken for written: nothing fails on /dev/null, and who else reads an output finds out
        return Account(intercepted, sum(intercepted.values()) - ring_full, unread, ring_full)
    return account_written(options, intercepted, ring_full, tidy(options.output))


def account_written(options: Options, intercepted: dict[str, int], ring_full: int, output: Output) -> Account:
    """The account of events that are a record each."""
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


def account_profile(options: Options, traced: Traced, unread: int | None) -> Account:
    """The account of fs-profile, whose latencies are written here."""
    objects = traced.objects
    by_key = latencies(objects)
    slow, ring_full = objects.total("AT_slow"), objects.total("event_loss_counter")
    if unread is None:
        account = account_written(options, {"slow": slow}, ring_full, tidy_slow(options.output))
    else:
        account = Account({"slow": slow}, slow - ring_full, unread, ring_full)
    for op, kind in enumerate(("read", "write")):
        intercept(account, kind, sum(latency.count for key, latency in by_key.items() if key.op == op))
    rest = list(lines(by_key, top(objects)))
    saved, error = append(options.output, rest) if account.error is None else ([], None)
    events = sum(line.events for line in saved)
    account.saved += events
    account.bytes += sum(len(line.text) for line in saved)
    account.output_error += sum(line.events for line in rest) - events
    if error:
        account.error = f"{options.output}: {error.strerror}"
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
    if is_syscount:
        account = account_syscount(options, traced)
    else:
        account = (account_profile if options.tool == "fs-profile" else account_rw)(options, traced, unread)
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
