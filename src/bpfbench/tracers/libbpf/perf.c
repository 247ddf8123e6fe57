// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <unistd.h>

#include <linux/perf_event.h>

#include "perf.h"

struct sample {
	struct perf_event_header header;
	uint32_t size;
	char data[];
};

/* What was lost the programs count, where it was refused. Records that tell of it come later, and not of all. */
static enum bpf_perf_event_ret on_perf_event(void *context, int cpu, struct perf_event_header *event)
{
	struct consumer *c = context;
	struct sample *sample = (struct sample *)event;

	(void)cpu;
	if (event->type != PERF_RECORD_SAMPLE)
		return LIBBPF_PERF_EVENT_CONT;
	c->taken++;
	return c->on_record(c, sample->data, sample->size) ? LIBBPF_PERF_EVENT_DONE : LIBBPF_PERF_EVENT_CONT;
}

int perf_open(struct consumer *c, int map, ring_buffer_sample_fn on_record)
{
	const struct options *options = &c->run->options;
	uint32_t bytes = options->ringbuf_bytes;
	/* [snippet buffer] */
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_BPF_OUTPUT,
		.sample_type = PERF_SAMPLE_RAW,
		.sample_period = 1,
		.wakeup_events = 1,
	};

	/* [end buffer] */
	c->on_record = on_record;
	/* [snippet buffer] */
	/* Where nobody is to be woken, as seldom as the kernel can: once for all the bytes of a buffer. */
	if (options->wakeup != ADAPTIVE) {
		attr.watermark = 1;
		attr.wakeup_watermark = options->wakeup == WATERMARK ? options->watermark : bytes;
	}
	c->buffers = perf_buffer__new_raw(map, bytes / getpagesize(), &attr, on_perf_event, c, NULL);
	/* [end buffer] */
	return c->buffers ? 0 : -errno;
}

static int taken_since(const struct consumer *c, unsigned int before, int err)
{
	return err < 0 ? err : (int)(c->taken - before);
}

int perf_empty(const struct consumer *c)
{
	unsigned int before = c->taken;

	/* [snippet buffer] */
	return taken_since(c, before, perf_buffer__consume(c->buffers));
	/* [end buffer] */
}

int perf_wait_and_empty(const struct consumer *c)
{
	unsigned int before = c->taken;

	/* [snippet buffer] */
	return taken_since(c, before, perf_buffer__poll(c->buffers, c->run->options.poll_ms));
	/* [end buffer] */
}
