// SPDX-License-Identifier: Apache-2.0
/* What a pair of hooks costs a call, entry and exit, with programs that do nothing: reads of one byte with them, in
 * turn with reads without. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "roofline.h"
#include "roofline.skel.h"

#define ROUNDS 11

static uint64_t reads_ns(int fd, uint64_t calls)
{
	uint64_t begin_ns = now_ns();
	char byte;

	for (uint64_t i = 0; i < calls; i++)
		if (pread(fd, &byte, 1, 0) < 0)
			fail_with("/dev/zero", errno);
	return (now_ns() - begin_ns) / (calls ? calls : 1);
}

static struct bpf_link *attached(const struct bpf_program *program)
{
	struct bpf_link *link = bpf_program__attach(program);

	if (!link)
		fail_with("cannot attach", errno);
	return link;
}

void measure_hook(char **words)
{
	struct roofline_bpf *skel = roofline_bpf__open();
	uint64_t calls = number(words[1]), bare[ROUNDS], hooked[ROUNDS];
	struct bpf_program *enter, *exit;
	int fd = open("/dev/zero", O_RDONLY), err;
	char name[32];

	libbpf_set_print(NULL);
	if (!skel || fd < 0)
		fail_with("cannot begin", errno);
	snprintf(name, sizeof(name), "%s_enter", words[0]);
	enter = bpf_object__find_program_by_name(skel->obj, name);
	snprintf(name, sizeof(name), "%s_exit", words[0]);
	exit = bpf_object__find_program_by_name(skel->obj, name);
	if (!enter || !exit)
		fail("%s is no hook of ours", words[0]);
	bpf_program__set_autoload(skel->progs.produce, false);
	bpf_program__set_autoload(enter, true);
	bpf_program__set_autoload(exit, true);
	err = roofline_bpf__load(skel);
	if (err)
		fail_with("cannot load", err);
	run_on(allowed_cpu(0));
	reads_ns(fd, calls);
	for (int round = 0; round < ROUNDS; round++) {
		struct bpf_link *at_exit, *at_entry;

		bare[round] = reads_ns(fd, calls);
		at_exit = attached(exit);
		at_entry = attached(enter);
		hooked[round] = reads_ns(fd, calls);
		bpf_link__destroy(at_entry);
		bpf_link__destroy(at_exit);
	}
	roofline_bpf__destroy(skel);
	qsort(bare, ROUNDS, sizeof(*bare), by_value);
	qsort(hooked, ROUNDS, sizeof(*hooked), by_value);
	printf("{\"bare_ns\": %llu, \"hooked_ns\": %llu}\n", (unsigned long long)bare[ROUNDS / 2],
		(unsigned long long)hooked[ROUNDS / 2]);
}
