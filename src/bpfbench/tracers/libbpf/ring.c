// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "edge.h"
#include "hooks.h"
#include "perf.h"
#include "record.h"
#include "ring.h"
#include "stop.h"

/* How many records are taken out of one ring while others may overflow. */
#define TURN_RECORDS 256

/* Whether to look for no more records: told to stop, or something went wrong. */
static bool is_over(const struct consumer *c)
{
	return stop_signal || c->run->file.error || c->all->error;
}

/* libbpf looks into a ring until it is empty, which under load may be never; an error makes it return now, with this
 * record consumed all the same. */
int consumer_goes_on(const struct consumer *c)
{
	return !c->draining && is_over(c) ? -EINTR : 0;
}

/* Takes what is there until nothing is, of several rings in turn. Returns how many records, or a negative errno. */
static int empty(const struct consumer *c)
{
	int found, all = 0;

	if (c->buffers)
		return perf_empty(c);
	if (c->ring_count == 1)
		return ring_buffer__consume(c->rings);
	do {
		found = 0;
		for (size_t i = 0; i < c->ring_count; i++) {
			int records = ring__consume_n(ring_buffer__ring(c->rings, i), TURN_RECORDS);

			if (records < 0)
				return records;
			found += records;
		}
		all += found;
	} while (found);
	return all;
}

/* Takes until a look finds nothing that comes after the last take and a fence. A record wakes whoever has taken all
 * before it, by what the kernel sees of the consumer's position, which libbpf stores without a fence. Without one the
 * kernel may miss that store, and the consumer the record: it wakes nobody, and nor does any after it. By level
 * epoll_wait() itself looks into the ring once more. */
static int empty_for_edge(const struct consumer *c)
{
	int found, all = 0;

	/* [snippet epoll] */
	do {
		/* Behind the consumer's position, which libbpf has stored, and before the last look. */
		atomic_thread_fence(memory_order_seq_cst);
		found = empty(c);
		all += found;
	} while (found > 0);
	/* [end epoll] */
	return found < 0 ? found : all;
}

/* [snippet wakeup] */
/* Until a ring wakes, unless none is to, or the time-out is over. Returns 0 or a negative errno. */
static int wait_for_rings(const struct consumer *c)
{
	const struct options *options = &c->run->options;
	int rings = c->buffers ? perf_buffer__epoll_fd(c->buffers) : ring_buffer__epoll_fd(c->rings);
	struct pollfd awaited[] = {
		{.fd = c->all->over, .events = POLLIN},
		{.fd = options->wakeup == NEVER ? -1 : rings, .events = POLLIN},
	};
	int ready = poll(awaited, sizeof(awaited) / sizeof(awaited[0]), options->poll_ms);

	return ready < 0 && errno != EINTR ? -errno : 0;
}
/* [end wakeup] */

/* One wait, as --wakeup has it, and what is there then. */
static int wait_and_empty(const struct consumer *c)
{
	const struct options *options = &c->run->options;
	int err = 0;

	if (options->wakeup == ADAPTIVE && c->buffers)
		return perf_wait_and_empty(c);
	/* [snippet epoll] */
	if (options->epoll == EDGE) {
		err = wait_for_edge(c->rings, options->poll_ms);
		return err ? err : empty_for_edge(c);
	}
	/* [end epoll] */
	/* [snippet wakeup] */
	/* [snippet poll_ms] */
	if (options->wakeup == ADAPTIVE && c->ring_count == 1 && c->all->over < 0)
		return ring_buffer__poll(c->rings, options->poll_ms);
	/* [end poll_ms] */
	/* ring_buffer__poll() would look into those rings alone that woke it. */
	if (options->wakeup != POLL)
		err = wait_for_rings(c);
	return err ? err : empty(c); /* by ring_buffer__consume() */
	/* [end wakeup] */
}

/* Nothing has come for as long as a wait takes, given how many records the last one brought. */
static bool is_quiet(struct consumer *c, int events)
{
	uint64_t now;

	if (events || c->run->options.wakeup != POLL) {
		c->quiet_since_ns = 0;
		return !events;
	}
	now = monotonic_ns();
	if (!c->quiet_since_ns)
		c->quiet_since_ns = now;
	return now - c->quiet_since_ns >= c->run->options.poll_ms * 1000000ULL;
}

static void follow(struct consumer *c)
{
	while (!is_over(c)) {
		int events = wait_and_empty(c);

		if (is_quiet(c, events))
			output_flush(c->output);
		if (events < 0 && events != -EINTR)
			c->all->error = events;
	}
}

static void end_all(const struct consumers *all)
{
	eventfd_write(all->over, 1);
}

static void *follow_one(void *context)
{
	struct consumer *c = context;

	follow(c);
	end_all(c->all);
	return NULL;
}

/* All signals go to the thread that detaches. */
static int start_thread(struct consumer *c)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&c->thread, NULL, follow_one, c);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

/* Each in a thread of its own, until all have ended: they are drained in this one. */
static void follow_in_threads(struct run *run, struct consumers *all)
{
	struct pollfd told = {.fd = all->over, .events = POLLIN};
	size_t started = 0;

	/* [snippet consumers] */
	while (started < all->count && !all->error) {
		int err = start_thread(&all->each[started]); /* pthread_create() */

		if (err) {
			fail(run, "cannot start a thread for a ring: %s", strerror(err));
			all->error = -err;
		} else {
			started++;
		}
	}
	while (!is_over(&all->each[0]))
		poll(&told, 1, -1);
	end_all(all); /* by the eventfd that all wait for, too */
	while (started)
		pthread_join(all->each[--started].thread, NULL);
	/* [end consumers] */
}

/* Each returns 0 or a negative errno. */

static int take_from(struct consumer *c, const int *rings, size_t count, ring_buffer_sample_fn on_record)
{
	int err = 0;

	if (c->run->options.buffer == PERF_BUFFERS)
		return perf_open(c, rings[0], on_record);
	/* [snippet consumers] */
	/* [snippet rings] */
	c->rings = ring_buffer__new(rings[0], on_record, c, NULL);
	if (!c->rings)
		return -errno;
	for (c->ring_count = 1; !err && c->ring_count < count; c->ring_count++)
		err = ring_buffer__add(c->rings, rings[c->ring_count], on_record, c);
	/* [end rings] */
	/* [end consumers] */
	if (!err && c->run->options.epoll == EDGE)
		err = turn_to_edges(c->rings, rings, c->ring_count, c->all->over);
	return err;
}

/* Of one for all rings, in this thread. */
static int consume_here(
	struct run *run, struct consumers *all, const int *rings, size_t count, ring_buffer_sample_fn on_record)
{
	struct consumer *c = &all->each[all->count++];

	*c = (struct consumer){.run = run, .all = all, .output = &run->output};
	return take_from(c, rings, count, on_record);
}

/* One for each ring. */
static int consume_in_threads(
	struct run *run, struct consumers *all, const int *rings, size_t count, ring_buffer_sample_fn on_record)
{
	int err = 0;

	all->over = eventfd(0, EFD_CLOEXEC);
	if (all->over < 0) {
		err = -errno;
		fail(run, "cannot make an eventfd: %s", strerror(-err));
	}
	while (!err && all->count < count) {
		struct consumer *c = &all->each[all->count];

		*c = (struct consumer){.run = run, .all = all, .output = &c->own};
		err = output_create(&c->own, &run->file, run->options.output_bytes);
		if (!err)
			err = take_from(c, &rings[all->count], 1, on_record);
		all->count++;
	}
	return err;
}

/* Once the programs are detached, and nobody follows any more. */
static void drain(struct run *run, struct consumer *c)
{
	int err;

	c->draining = true;
	err = empty(c);
	if (err < 0)
		fail(run, "cannot drain the ring: %s", strerror(-err));
	if (c->output == &run->output)
		return;
	output_flush(c->output);
	run->output.saved += c->output->saved;
	run->output.lost += c->output->lost;
}

static void attach_and_follow(struct run *run, struct consumers *all, struct bpf_object_skeleton *skeleton)
{
	if (bpf_object__attach_skeleton(skeleton))
		fail(run, "cannot attach: %s", libbpf_reason(errno));
	else
		announce_ready(run);
	if (run->error[0])
		return;
	if (all->over < 0)
		follow(&all->each[0]);
	else
		follow_in_threads(run, all);
	if (all->error)
		fail(run, "cannot wait for the ring: %s", strerror(-all->error));
}

struct consumers *through_rings(struct run *run, struct bpf_object_skeleton *skeleton, const int *rings, size_t count,
	ring_buffer_sample_fn on_record)
{
	struct consumers *all = calloc(1, sizeof(*all) + count * sizeof(all->each[0]));
	int err = -ENOMEM;

	record_init();
	if (all) {
		all->over = -1;
		err = (run->options.consumers == RING ? consume_in_threads : consume_here)(
			run, all, rings, count, on_record);
	}
	if (err) {
		fail(run, "cannot map the ring: %s", libbpf_reason(err));
		note_stop(run);
		return all;
	}
	attach_and_follow(run, all, skeleton);
	note_stop(run);
	detach_programs(run, skeleton);
	for (size_t i = 0; i < all->count; i++)
		drain(run, &all->each[i]);
	return all;
}

void consumers_free(struct consumers *all)
{
	if (!all)
		return;
	if (all->over >= 0)
		close(all->over);
	for (size_t i = 0; i < all->count; i++) {
		ring_buffer__free(all->each[i].rings);
		perf_buffer__free(all->each[i].buffers);
		output_free(&all->each[i].own);
	}
	free(all);
}
