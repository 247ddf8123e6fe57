/* SPDX-License-Identifier: Apache-2.0 */
/* One run of a tool: what was asked, and what came of it, which the summary reports. */
#ifndef RUN_H
#define RUN_H

#include <stdbool.h>
#include <stdint.h>

#include <bpf/libbpf.h>

#include "message.h"
#include "options.h"
#include "output.h"
#include "rw_event.h"

/* Of events, at most: reads, writes, and slow ones. */
#define KINDS (RW_OPS + 1)

struct syscall_count {
	uint64_t number;
	uint64_t count;
};

struct run {
	struct options options;
	struct output_file file;
	struct output output; /* of the one consumer; at the end, with what all others had */
	bool loaded; /* the programs; from then on there will be a summary */
	struct {
		const char *kind;
		uint64_t events;
	} intercepted[KINDS]; /* no kind: not used by this tool */
	uint64_t ring_full;
	uint64_t map_full;
	uint64_t recursion;
	uint64_t missed;
	bool recursion_unknown;
	bool missed_unknown;
	struct syscall_count syscalls[SYSCOUNT_ENTRIES];
	size_t syscall_count;
	uint64_t start_ns;
	uint64_t ready_ns;
	uint64_t stop_ns;
	uint64_t drained_ns;
	char error[MESSAGE_BYTES]; /* the first; empty if none */
};

/* The tools. They load, attach, wait to be told to stop, detach, and collect. */
void run_rw(struct run *run);
void run_syscount(struct run *run);
void run_fs_profile(struct run *run);

/* The steps they share. */
void fail(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
void announce_ready(struct run *run);
void note_stop(struct run *run);
void wait_for_programs(struct run *run);
uint64_t count_recursion(struct run *run, const struct bpf_program *program);
uint64_t count_missed(struct run *run, const struct bpf_link *link);
void finish_output(struct run *run);

#endif
