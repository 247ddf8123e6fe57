// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "ring.h"
#include "stop.h"

/* ring_buffer__poll() returns when the ring is empty, which under load may be never; an error makes it return now, with
 * this record consumed all the same. */
int ring_goes_on(const struct run *run)
{
	return !run->draining && (stop_signal || run->output.error) ? -EINTR : 0;
}

void follow(struct run *run, struct ring_buffer *ring)
{
	while (!stop_signal && !run->output.error && !run->error[0]) {
		int events = ring_buffer__poll(ring, run->options.poll_ms);

		if (!events)
			output_flush(&run->output);
		if (events < 0 && events != -EINTR)
			fail(run, "cannot wait for the ring: %s", strerror(-events));
	}
}

void drain(struct run *run, struct ring_buffer *ring)
{
	int err;

	run->draining = true;
	err = ring_buffer__consume(ring);
	if (err < 0)
		fail(run, "cannot drain the ring: %s", strerror(-err));
}
