// SPDX-License-Identifier: Apache-2.0
/* rw-tracer and rw-tracer-all: from the rings into the file. */
#include <errno.h>
#include <stdlib.h>
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
#include "rw_knobs.h"
#include "rw_knobs.skel.h"
#include "rw_perf.skel.h"

/* Of one of the objects. */
struct rw {
	void *skel; /* NULL: it could not be opened */
	struct bpf_object_skeleton *skeleton;
};

static struct bpf_object *object(const struct rw *rw)
{
	return *rw->skeleton->obj;
}

static struct bpf_map *map(const struct rw *rw, const char *name)
{
	return bpf_object__find_map_by_name(object(rw), name);
}

static uint32_t kept_payload(const struct run *run)
{
	return run->options.tool == RW_TRACER_ALL ? run->options.payload_bytes : 0;
}

static struct rw open_usual(const struct run *run)
{
	struct rw_bpf *skel = rw_bpf__open();

	if (!skel)
		return (struct rw){0};
	memcpy(skel->rodata->target_comm, run->options.target_comm, sizeof(skel->rodata->target_comm));
	skel->rodata->payload_bytes = kept_payload(run);
	return (struct rw){skel, skel->skeleton};
}

static uint64_t wakeup_bytes(const struct options *options)
{
	if (options->wakeup == ADAPTIVE)
		return RW_WAKE_ADAPTIVE;
	return options->wakeup == WATERMARK ? options->watermark : RW_WAKE_NEVER;
}

static struct rw open_knobs(const struct run *run, size_t rings)
{
	struct rw_knobs_bpf *skel = rw_knobs_bpf__open();

	if (!skel)
		return (struct rw){0};
	memcpy(skel->rodata->target_comm, run->options.target_comm, sizeof(skel->rodata->target_comm));
	skel->rodata->payload_bytes = kept_payload(run);
	skel->rodata->wakeup_bytes = wakeup_bytes(&run->options);
	skel->rodata->ring_count = rings;
	skel->rodata->ring_of_cpu = run->options.rings == RING_OF_CPU;
	skel->rodata->variable_records = run->options.records == VARIABLE;
	/* Neither can fail before loading. */
	bpf_map__set_max_entries(skel->maps.rings, rings);
	bpf_map__set_autocreate(skel->maps.scratch, run->options.records == VARIABLE);
	return (struct rw){skel, skel->skeleton};
}

static struct rw open_perf(const struct run *run)
{
	struct rw_perf_bpf *skel = rw_perf_bpf__open();

	if (!skel)
		return (struct rw){0};
	memcpy(skel->rodata->target_comm, run->options.target_comm, sizeof(skel->rodata->target_comm));
	skel->rodata->payload_bytes = kept_payload(run);
	return (struct rw){skel, skel->skeleton};
}

static bool has_knobs(const struct options *options)
{
	return options->wakeup != ADAPTIVE || options->rings != 1 || options->records != FIXED;
}

/* Several rings, the first of which there is already, into the map of them. Returns 0 or a negative errno. */
static int make_rings(const struct options *options, const struct rw *rw, int *fds, size_t rings)
{
	struct bpf_map *array = map(rw, "rings");

	/* [snippet rings] */
	for (__u32 i = 0; i < rings; i++) {
		if (i > 0)
			fds[i] = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "events", 0, 0, options->ringbuf_bytes, NULL);
		if (fds[i] < 0 || bpf_map__update_elem(array, &i, sizeof(i), &fds[i], sizeof(fds[i]), 0))
			return -errno;
	}
	/* [end rings] */
	return 0;
}

static struct rw open_object(const struct run *run, size_t rings)
{
	if (run->options.buffer == PERF_BUFFERS)
		return open_perf(run);
	return has_knobs(&run->options) ? open_knobs(run, rings) : open_usual(run);
}

/* Leaves the descriptors of so many rings in fds, or that of the map of perf buffers. */
static struct rw load(struct run *run, int *fds, size_t rings)
{
	struct rw rw = open_object(run, rings);
	int err = 0;

	if (!rw.skel) {
		fail(run, "cannot open the BPF object: %s", libbpf_reason(errno));
		return rw;
	}
	choose_programs(object(&rw), run->options.attach);
	/* [snippet ringbuf_bytes] */
	if (run->options.buffer == RING_BUFFER)
		err = bpf_map__set_max_entries(map(&rw, "events"), run->options.ringbuf_bytes);
	if (!err)
		err = bpf_object__load_skeleton(rw.skeleton);
	/* [end ringbuf_bytes] */
	if (err) {
		fail(run, "cannot load: %s", libbpf_reason(err));
		return rw;
	}
	fds[0] = bpf_map__fd(map(&rw, "events"));
	err = rings > 1 ? make_rings(&run->options, &rw, fds, rings) : 0;
	if (err)
		fail(run, "cannot make %zu rings: %s", rings, strerror(-err));
	run->loaded = !err;
	return rw;
}

static int on_event(void *context, void *data, size_t size)
{
	const struct consumer *consumer = context;
	struct run *run = consumer->run;

	(void)size;
	if (run->options.format == TEXT)
		record_event_text(consumer->output, data, kept_payload(run));
	else
		record_event_binary(consumer->output, data, kept_payload(run));
	return consumer_goes_on(consumer);
}

static void count(struct run *run, const struct rw *rw)
{
	struct rw_counters sum = {0};
	__u32 zero = 0;

	if (sum_per_cpu(map(rw, "counters"), &zero, sizeof(zero), (uint64_t *)&sum, sizeof(sum) / sizeof(uint64_t)))
		fail(run, "cannot read the counters: %s", strerror(errno));
	run->ring_full = sum.ring_full;
	run->map_full = sum.map_full;
	run->intercepted[RW_READ].kind = "read";
	run->intercepted[RW_WRITE].kind = "write";
	for (int op = 0; op < RW_OPS; op++)
		run->intercepted[op].events += sum.intercepted[op];
	count_skipped(run, object(rw));
}

void run_rw(struct run *run)
{
	int rings = run->options.rings == RING_OF_CPU ? libbpf_num_possible_cpus() : (int)run->options.rings;
	int *fds = rings > 0 ? calloc(rings, sizeof(*fds)) : NULL;
	struct consumers *consumers;
	struct rw rw;

	if (!fds) {
		fail(run, "cannot make a ring for each CPU: %s", rings < 0 ? strerror(-rings) : strerror(ENOMEM));
		return;
	}
	rw = load(run, fds, rings);
	if (run->loaded) {
		consumers = through_rings(run, rw.skeleton, fds, rings, on_event);
		finish_output(run);
		count(run, &rw);
		consumers_free(consumers);
	}
	bpf_object__destroy_skeleton(rw.skeleton);
	free(rw.skel);
	free(fds);
}
