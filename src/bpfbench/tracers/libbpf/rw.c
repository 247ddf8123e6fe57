// SPDX-License-Identifier: Apache-2.0
/* rw-tracer and rw-tracer-all: from the ring into the file. */
#include <errno.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "hooks.h"
#include "percpu.h"
#include "record.h"
#include "ring.h"
#include "run.h"
#include "rw.skel.h"
#include "rw_counters.h"

static uint32_t kept_payload(const struct run *run)
{
	return run->options.tool == RW_TRACER_ALL ? run->options.payload_bytes : 0;
}

static struct rw_bpf *load(struct run *run)
{
	struct rw_bpf *skel = rw_bpf__open();
	int err;

	if (!skel) {
		fail(run, "cannot open the BPF object: %s", libbpf_reason(errno));
		return NULL;
	}
	choose_programs(skel->obj, run->options.attach);
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

static int on_event(void *context, void *data, size_t size)
{
	struct run *run = context;

	(void)size;
	if (run->options.format == TEXT)
		record_event_text(&run->output, data, kept_payload(run));
	else
		record_event_binary(&run->output, data, kept_payload(run));
	return ring_goes_on(run);
}

static void count(struct run *run, struct rw_bpf *skel)
{
	struct rw_counters sum = {0};
	__u32 zero = 0;

	if (sum_per_cpu(skel->maps.counters, &zero, sizeof(zero), (uint64_t *)&sum, sizeof(sum) / sizeof(uint64_t)))
		fail(run, "cannot read the counters: %s", strerror(errno));
	run->ring_full = sum.ring_full;
	run->map_full = sum.map_full;
	run->intercepted[RW_READ].kind = "read";
	run->intercepted[RW_WRITE].kind = "write";
	for (int op = 0; op < RW_OPS; op++)
		run->intercepted[op].events += sum.intercepted[op];
	count_skipped(run, skel->obj);
}

void run_rw(struct run *run)
{
	struct rw_bpf *skel = load(run);
	struct ring_buffer *ring;

	if (!skel)
		return;
	ring = through_ring(run, skel->skeleton, skel->maps.events, on_event);
	finish_output(run);
	count(run, skel);
	ring_buffer__free(ring);
	rw_bpf__destroy(skel);
}
