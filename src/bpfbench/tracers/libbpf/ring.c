// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "hooks.h"
#include "record.h"
#include "ring.h"
#include "stop.h"

/* How many records are taken out of one ring while others may overflow. */
#define TURN_RECORDS 256

/* libbpf looks into a ring until it is empty, which under load may be never; an error makes it return now, with this
 * record consumed all the same. Where a thread only consumes, another detaches, and is told of errors. */
int consumer_goes_on(const struct consumer *c)
{
	const struct run *run = c->run;
	bool over = c->over < 0 ? stop_signal || run->file.error : run->file.error && !c->told;

	return over && !run->draining ? -EINTR : 0;
}

/* Takes what is there until nothing is, of several rings in turn. Returns how many records, or a negative errno. */
static int empty(const struct consumer *c)
{
	int found, all = 0;

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

/* One wait, as --wakeup has it, and what is there then. */
static int wait_and_empty(const struct consumer *c)
{
	const struct options *options = &c->run->options;
	struct pollfd waited_for[] = {
		{.fd = c->over, .events = POLLIN},
		{.fd = options->wakeup == NEVER ? -1 : ring_buffer__epoll_fd(c->rings), .events = POLLIN},
	};

	if (options->wakeup == ADAPTIVE && c->ring_count == 1 && c->over < 0)
		return ring_buffer__poll(c->rings, options->poll_ms);
	/* ring_buffer__poll() would look into those rings alone that woke it. */
	if (options->wakeup != POLL)
		poll(waited_for, sizeof(waited_for) / sizeof(waited_for[0]), options->poll_ms);
	return empty(c);
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

static void look(struct consumer *c)
{
	int events = wait_and_empty(c);

	if (is_quiet(c, events))
		output_flush(c->output);
	if (events < 0 && events != -EINTR)
		fail(c->run, "cannot wait for the ring: %s", strerror(-events));
}

static void follow(struct consumer *c)
{
	while (!stop_signal && !c->run->file.error && !c->run->error[0])
		look(c);
}

/* Once nothing is put into them any more. */
static void drain(struct consumer *c)
{
	int err = empty(c);

	if (err < 0)
		fail(c->run, "cannot drain the ring: %s", strerror(-err));
}

static void end_all(int over)
{
	eventfd_write(over, 1);
}

static void *follow_one(void *context)
{
	struct consumer *c = context;

	while (!c->run->draining) {
		look(c);
		if (c->run->file.error && !c->told) {
			end_all(c->over);
			c->told = true;
		}
	}
	drain(c);
	output_flush(c->output);
	return NULL;
}

static bool take_from(struct consumer *c, const int *rings, size_t count, ring_buffer_sample_fn on_record)
{
	c->rings = ring_buffer__new(rings[0], on_record, c, NULL);
	for (c->ring_count = 1; c->rings && c->ring_count < count; c->ring_count++)
		if (ring_buffer__add(c->rings, rings[c->ring_count], on_record, c))
			return false;
	return c->rings;
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

/* Of one for all rings, in this thread. */
static void consume_here(
	struct run *run, struct consumers *all, const int *rings, size_t count, ring_buffer_sample_fn on_record)
{
	struct consumer *c = &all->each[0];

	*c = (struct consumer){.run = run, .output = &run->output, .over = -1};
	if (take_from(c, rings, count, on_record))
		all->count = 1;
	else
		fail(run, "cannot map the ring: %s", libbpf_reason(errno));
}

/* One for each ring. */
static void consume_in_threads(
	struct run *run, struct consumers *all, const int *rings, size_t count, ring_buffer_sample_fn on_record)
{
	all->over = eventfd(0, EFD_CLOEXEC);
	while (all->count < count && !run->error[0]) {
		struct consumer *c = &all->each[all->count];
		int err;

		*c = (struct consumer){.run = run, .output = &c->own, .over = all->over};
		if (!take_from(c, &rings[all->count], 1, on_record)) {
			fail(run, "cannot map a ring: %s", libbpf_reason(errno));
			break;
		}
		err = all->over < 0 ? errno : -output_create(&c->own, &run->file, run->options.output_bytes);
		if (!err)
			err = start_thread(c);
		if (err)
			fail(run, "cannot start a thread for a ring: %s", strerror(err));
		else
			all->count++;
	}
}

static void wait_for_end(const struct run *run, int over)
{
	struct pollfd told = {.fd = over, .events = POLLIN};

	while (!stop_signal && !run->file.error && !run->error[0])
		poll(&told, 1, -1);
}

/* Once the programs are detached. */
static void finish(struct run *run, struct consumers *all)
{
	run->draining = true;
	if (all->over < 0 && all->count)
		drain(&all->each[0]);
	if (all->over < 0)
		return;
	end_all(all->over);
	for (size_t i = 0; i < all->count; i++) {
		struct consumer *c = &all->each[i];

		pthread_join(c->thread, NULL);
		run->output.saved += c->own.saved;
		run->output.lost += c->own.lost;
	}
}

struct consumers *through_rings(struct run *run, struct bpf_object_skeleton *skeleton, const int *rings, size_t count,
	ring_buffer_sample_fn on_record)
{
	bool in_threads = run->options.consumers == RING;
	struct consumers *all = calloc(1, sizeof(*all) + count * sizeof(all->each[0]));

	record_init();
	if (!all) {
		fail(run, "cannot map the ring: %s", strerror(ENOMEM));
		return NULL;
	}
	all->over = -1;
	(in_threads ? consume_in_threads : consume_here)(run, all, rings, count, on_record);
	if (!run->error[0] && bpf_object__attach_skeleton(skeleton))
		fail(run, "cannot attach: %s", libbpf_reason(errno));
	if (!run->error[0]) {
		announce_ready(run);
		if (in_threads)
			wait_for_end(run, all->over);
		else
			follow(&all->each[0]);
	}
	note_stop(run);
	detach_programs(run, skeleton);
	finish(run, all);
	return all;
}

void consumers_free(struct consumers *all)
{
	if (!all)
		return;
	for (size_t i = 0; i < all->count; i++) {
		ring_buffer__free(all->each[i].rings);
		output_free(&all->each[i].own);
	}
	free(all);
}
