// SPDX-License-Identifier: Apache-2.0
/* rw-tracer and rw-tracer-all: from the ring into the file. */
#include <errno.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "percpu.h"
#include "record.h"
#include "run.h"
#include "rw.skel.h"
#include "rw_counters.h"
#include "stop.h"

static uint32_t kept_payload(const struct run *run)
{
	return run->options.tool == RW_TRACER_ALL ? run->options.payload_bytes : 0;
}

static enum rw_op op_of(const struct bpf_program *program)
{
	return strstr(bpf_program__name(program), "write") ? RW_WRITE : RW_READ;
}

/* The programs of one flavour alone: the kernel may not know the others. */
static void choose_programs(struct rw_bpf *skel, enum attach attach)
{
	static const enum bpf_prog_type types[] = {
		[TRACEPOINT] = BPF_PROG_TYPE_TRACEPOINT,
		[KPROBE] = BPF_PROG_TYPE_KPROBE,
		[FENTRY] = BPF_PROG_TYPE_TRACING,
	};
	struct bpf_program *program;

	bpf_object__for_each_program (program, skel->obj)
		bpf_program__set_autoload(program, bpf_program__type(program) == types[attach]);
}

static struct rw_bpf *load(struct run *run)
{
	struct rw_bpf *skel = rw_bpf__open();
	int err;

	if (!skel) {
		fail(run, "cannot open the BPF object: %s", libbpf_reason(errno));
		return NULL;
	}
	choose_programs(skel, run->options.attach);
	memcpy(skel->rodata->target_comm, run->options.target_comm, sizeof(skel->rodata->target_comm));
	skel->rodata->payload_bytes = kept_payload(run);
	err = bpf_map__set_max_entries(skel->maps.events, run->options.ringbuf_bytes);
	if (!err)
		err = rw_bpf__load(skel);
	if (err) {
		fail(run, "cannot load: %s", libbpf_reason(err));
		rw_bpf__destroy(skel);
		return NULL;
	}
	run->loaded = true;
	return skel;
}

/* ring_buffer__poll() returns when the ring is empty, which under load may be never; an error makes it return now, with
 * this event consumed all the same. */
static int on_event(void *context, void *data, size_t size)
{
	struct run *run = context;

	(void)size;
	if (run->options.format == TEXT)
		record_event_text(&run->output, data, kept_payload(run));
	else
		record_event_binary(&run->output, data, kept_payload(run));
	return !run->draining && (stop_signal || run->output.error) ? -EINTR : 0;
}

static void follow(struct run *run, struct ring_buffer *ring)
{
	while (!stop_signal && !run->output.error && !run->error[0]) {
		int events = ring_buffer__poll(ring, run->options.poll_ms);

		if (!events)
			output_flush(&run->output);
		if (events < 0 && events != -EINTR)
			fail(run, "cannot wait for the ring: %s", strerror(-events));
	}
}

static void drain(struct run *run, struct ring_buffer *ring)
{
	int err;

	run->draining = true;
	err = ring_buffer__consume(ring);
	if (err < 0)
		fail(run, "cannot drain the ring: %s", strerror(-err));
}

/* In the order of attaching. What a probe has missed is known until it is detached. */
static void detach(struct run *run, struct rw_bpf *skel)
{
	for (int i = 0; i < skel->skeleton->prog_cnt; i++) {
		const struct bpf_prog_skeleton *prog = &skel->skeleton->progs[i];

		if (!*prog->link)
			continue;
		run->intercepted[op_of(*prog->prog)].events += count_missed(run, *prog->link);
		bpf_link__destroy(*prog->link);
		*prog->link = NULL;
	}
	wait_for_programs(run);
}

static void count(struct run *run, struct rw_bpf *skel)
{
	struct rw_counters sum = {0};
	struct bpf_program *program;
	__u32 zero = 0;

	if (sum_per_cpu(skel->maps.counters, &zero, sizeof(zero), (uint64_t *)&sum, sizeof(sum) / sizeof(uint64_t)))
		fail(run, "cannot read the counters: %s", strerror(errno));
	run->ring_full = sum.ring_full;
	run->map_full = sum.map_full;
	run->intercepted[RW_READ].kind = "read";
	run->intercepted[RW_WRITE].kind = "write";
	for (int op = 0; op < RW_OPS; op++)
		run->intercepted[op].events += sum.intercepted[op];

	bpf_object__for_each_program (program, skel->obj)
		if (bpf_program__autoload(program))
			run->intercepted[op_of(program)].events += count_recursion(run, program);
}

void run_rw(struct run *run)
{
	struct rw_bpf *skel = load(run);
	struct ring_buffer *ring;

	if (!skel)
		return;
	record_init();
	ring = ring_buffer__new(bpf_map__fd(skel->maps.events), on_event, run, NULL);
	if (!ring) {
		fail(run, "cannot map the ring: %s", libbpf_reason(errno));
	} else if (rw_bpf__attach(skel)) {
		fail(run, "cannot attach: %s", libbpf_reason(errno));
	} else {
		announce_ready(run);
		follow(run, ring);
	}
	note_stop(run);
	detach(run, skel);
	if (ring)
		drain(run, ring);
	finish_output(run);
	count(run, skel);
	ring_buffer__free(ring);
	rw_bpf__destroy(skel);
}
