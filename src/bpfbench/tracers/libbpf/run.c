// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <linux/membarrier.h>
#include <bpf/bpf.h>

#include "run.h"
#include "stop.h"

void fail(struct run *run, const char *format, ...)
{
	va_list args;

	if (run->error[0])
		return;
	va_start(args, format);
	vsnprintf(run->error, sizeof(run->error), format, args);
	va_end(args);
}

void announce_ready(struct run *run)
{
	if (stop_signal)
		return;
	run->ready_ns = monotonic_ns();
	if (puts("READY") == EOF || fflush(stdout) == EOF)
		fail(run, "cannot print READY: %s", strerror(errno));
}

void note_stop(struct run *run)
{
	run->stop_ns = stop_signal ? stop_ns : monotonic_ns();
}

/* A program that is detached may still be running on another CPU. It runs inside an RCU read-side section, and this
 * waits for all of those. */
void wait_for_programs(struct run *run)
{
	if (syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		fail(run, "cannot wait for running programs: membarrier: %s", strerror(errno));
}

/* Only from 6.7 on does the kernel count the skipped runs of tracepoint and kprobe programs; the field is older, and
 * then 0. No feature tells. */
static bool recursion_is_counted(enum attach attach)
{
	struct utsname kernel;
	unsigned int major, minor;

	if (attach == FENTRY)
		return true;
	if (uname(&kernel) || sscanf(kernel.release, "%u.%u", &major, &minor) != 2)
		return false;
	return major > 6 || (major == 6 && minor >= 7);
}

uint64_t count_recursion(struct run *run, const struct bpf_program *program)
{
	struct bpf_prog_info info = {0};
	__u32 size = sizeof(info);

	if (bpf_prog_get_info_by_fd(bpf_program__fd(program), &info, &size)) {
		fail(run, "cannot read the recursion_misses of %s: %s", bpf_program__name(program), strerror(errno));
		return 0;
	}
	run->recursion_unknown = !recursion_is_counted(run->options.attach);
	run->recursion += info.recursion_misses;
	return info.recursion_misses;
}

/* How often the kernel missed the probe, be it for want of a kretprobe instance. It tells only while the probe is
 * attached. Before 6.7 what it tells ends before that number, and before 5.15 there is no link to ask. */
uint64_t count_missed(struct run *run, const struct bpf_link *link)
{
	const size_t needed = offsetof(struct bpf_link_info, perf_event.kprobe.missed) + sizeof(__u64);
	struct bpf_link_info info = {0};
	__u32 size = sizeof(info);

	if (run->options.attach != KPROBE)
		return 0;
	if (bpf_link_get_info_by_fd(bpf_link__fd(link), &info, &size) || size < needed) {
		run->missed_unknown = true;
		return 0;
	}
	run->missed += info.perf_event.kprobe.missed;
	return info.perf_event.kprobe.missed;
}

void finish_output(struct run *run)
{
	output_flush(&run->output);
	output_close(&run->file);
	run->drained_ns = monotonic_ns();
	if (run->file.error)
		fail(run, "cannot write %s: %s", run->options.output, strerror(run->file.error));
}
