// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "hooks.h"

static enum rw_op op_of(const struct bpf_program *program)
{
	return strstr(bpf_program__name(program), "write") ? RW_WRITE : RW_READ;
}

void choose_programs(struct bpf_object *object, enum attach attach)
{
	static const enum bpf_prog_type types[] = {
		[TRACEPOINT] = BPF_PROG_TYPE_TRACEPOINT,
		[KPROBE] = BPF_PROG_TYPE_KPROBE,
		[FENTRY] = BPF_PROG_TYPE_TRACING,
	};
	struct bpf_program *program;

	bpf_object__for_each_program (program, object)
		bpf_program__set_autoload(program, bpf_program__type(program) == types[attach]);
}

/* What a probe has missed is known until it is detached. */
void detach_programs(struct run *run, const struct bpf_object_skeleton *skeleton)
{
	for (int i = 0; i < skeleton->prog_cnt; i++) {
		const struct bpf_prog_skeleton *prog = &skeleton->progs[i];

		if (!*prog->link)
			continue;
		run->intercepted[op_of(*prog->prog)].events += count_missed(run, *prog->link);
		bpf_link__destroy(*prog->link);
		*prog->link = NULL;
	}
	wait_for_programs(run);
}

void count_skipped(struct run *run, struct bpf_object *object)
{
	struct bpf_program *program;

	bpf_object__for_each_program (program, object)
		if (bpf_program__autoload(program))
			run->intercepted[op_of(program)].events += count_recursion(run, program);
}
