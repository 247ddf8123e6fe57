// SPDX-License-Identifier: Apache-2.0
/* bpfbench's libbpf tracer; ../README.md is its contract. */
#include <string.h>
#include <sys/prctl.h>

#include <bpf/bpf.h>

#include "message.h"
#include "options.h"
#include "run.h"
#include "stop.h"
#include "summary.h"

/* The tracer must not record itself. Should the target bear its name, it takes another one: its process id in the
 * initial PID namespace, which the programs could compare, is not to be had from within another namespace. */
static void step_aside(const char *target_comm)
{
	char comm[16];

	if (prctl(PR_GET_NAME, comm) || strcmp(comm, target_comm))
		return;
	comm[0] = comm[0] == 'x' ? 'y' : 'x';
	prctl(PR_SET_NAME, comm);
}

static void trace(struct run *run)
{
	struct summary summary;
	int err;

	err = output_open(&run->file, run->options.output);
	if (!err)
		err = output_create(&run->output, &run->file, run->options.output_bytes);
	if (err) {
		fail(run, "cannot create %s: %s", run->options.output, strerror(-err));
		return;
	}
	err = summary_create(&summary, run->options.summary);
	if (err) {
		fail(run, "cannot create %s: %s", run->options.summary, strerror(-err));
		return;
	}

	if (run->options.tool == SYSCOUNT)
		run_syscount(run);
	else if (run->options.tool == FS_PROFILE)
		run_fs_profile(run);
	else
		run_rw(run);

	if (!run->loaded) {
		summary_discard(&summary);
		return;
	}
	err = summary_write(&summary, run);
	if (err)
		fail(run, "cannot write %s: %s", run->options.summary, strerror(-err));
}

int main(int argc, char **argv)
{
	static struct run run;

	run.start_ns = monotonic_ns();
	catch_stop_signals();
	parse_options(argc, argv, &run.options);
	step_aside(run.options.target_comm);
	catch_libbpf_warnings();
	libbpf_set_memlock_rlim(0); /* libbpf is not to raise it */

	trace(&run);
	if (run.error[0]) {
		say("%s", run.error);
		return 1;
	}
	return 0;
}
