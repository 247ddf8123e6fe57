// SPDX-License-Identifier: Apache-2.0
/* syscount: one look at the map, at the end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "percpu.h"
#include "record.h"
#include "run.h"
#include "stop.h"
#include "syscount.skel.h"

static struct syscount_bpf *load(struct run *run)
{
	struct syscount_bpf *skel = syscount_bpf__open();
	int err;

	if (!skel) {
		fail(run, "cannot open the BPF object: %s", libbpf_reason(errno));
		return NULL;
	}
	memcpy(skel->rodata->target_comm, run->options.target_comm, sizeof(skel->rodata->target_comm));
	err = syscount_bpf__load(skel);
	if (err) {
		fail(run, "cannot load: %s", libbpf_reason(err));
		syscount_bpf__destroy(skel);
		return NULL;
	}
	run->loaded = true;
	return skel;
}

static int by_number(const void *left, const void *right)
{
	const struct syscall_count *a = left, *b = right;

	return (a->number > b->number) - (a->number < b->number);
}

static void read_counts(struct run *run, const struct bpf_map *map)
{
	struct syscall_count *call = run->syscalls;
	const uint64_t *last = NULL;

	while (run->syscall_count < SYSCOUNT_ENTRIES &&
		!bpf_map__get_next_key(map, last, &call->number, sizeof(call->number))) {
		if (sum_per_cpu(map, &call->number, sizeof(call->number), &call->count, 1)) {
			fail(run, "cannot read the counts: %s", strerror(errno));
			break;
		}
		last = &call->number;
		call++;
		run->syscall_count++;
	}
	qsort(run->syscalls, run->syscall_count, sizeof(run->syscalls[0]), by_number);
}

static void collect(struct run *run, struct syscount_bpf *skel)
{
	uint32_t zero = 0;
	uint64_t events;

	read_counts(run, skel->maps.counts);
	if (sum_per_cpu(skel->maps.map_full, &zero, sizeof(zero), &run->map_full, 1))
		fail(run, "cannot read the counter: %s", strerror(errno));
	events = run->map_full + count_recursion(run, skel->progs.syscount);
	for (size_t i = 0; i < run->syscall_count; i++) {
		const struct syscall_count *call = &run->syscalls[i];

		events += call->count;
		if (run->options.format == TEXT)
			record_count_text(&run->output, call->number, call->count);
		else
			record_count_binary(&run->output, call->number, call->count);
	}
	run->intercepted[0].kind = "syscall";
	run->intercepted[0].events = events;
}

void run_syscount(struct run *run)
{
	struct syscount_bpf *skel = load(run);

	if (!skel)
		return;
	record_init();
	if (syscount_bpf__attach(skel)) {
		fail(run, "cannot attach: %s", libbpf_reason(errno));
	} else {
		announce_ready(run);
		while (!stop_signal && !run->error[0])
			pause();
	}
	note_stop(run);
	syscount_bpf__detach(skel);
	wait_for_programs(run);
	collect(run, skel);
	finish_output(run);
	syscount_bpf__destroy(skel);
}
