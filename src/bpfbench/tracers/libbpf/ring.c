// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "hooks.h"
#include "record.h"
#include "ring.h"
#include "stop.h"

/* ring_buffer__poll() returns when the ring is empty, which under load may be never; an error makes it return now, with
 * this record consumed all the same. */
int ring_goes_on(const struct run *run)
{
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

/* Once nothing is put into it any more. */
static void drain(struct run *run, struct ring_buffer *ring)
{
	int err;

	run->draining = true;
	err = ring_buffer__consume(ring);
	if (err < 0)
		fail(run, "cannot drain the ring: %s", strerror(-err));
}

struct ring_buffer *through_ring(struct run *run, struct bpf_object_skeleton *skeleton, const struct bpf_map *events,
	ring_buffer_sample_fn on_record)
{
	struct ring_buffer *ring;

	record_init();
	ring = ring_buffer__new(bpf_map__fd(events), on_record, run, NULL);
	if (!ring) {
		fail(run, "cannot map the ring: %s", libbpf_reason(errno));
	} else if (bpf_object__attach_skeleton(skeleton)) {
		fail(run, "cannot attach: %s", libbpf_reason(errno));
	} else {
		announce_ready(run);
		follow(run, ring);
	}
	note_stop(run);
	detach_programs(run, skeleton);
	if (ring)
		drain(run, ring);
	return ring;
}
