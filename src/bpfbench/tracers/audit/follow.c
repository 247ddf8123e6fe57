// SPDX-License-Identifier: Apache-2.0
/* Behind a writer. Two threads:
 *
 * - The checker takes no CPU time that anybody else wants (SCHED_IDLE), so that target and tracer are left alone.
 * - The watcher sleeps most of the time. When the output takes a quarter of the disk space it may take, it has the
 * checker take its turn like any program, and gives back the blocks of what is checked, until the output takes no more
 * than an eighth. What the tracer writes until that has an effect has to find room in the rest.
 *
 * Below the quarter nothing is released, so that an output that fits is written as it is when nobody follows.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "follow.h"
#include "message.h"

#define LOOK_MS 20

/* Removing a piece keeps the writer waiting, so it is small; but half of a smaller one's time would be its beginning.
 */
#define PIECE_BYTES (4ULL << 20)

/* Of the watcher, which must not wait for a CPU while the disk fills, and seldom wants one. */
#define WATCHER_NICE -20

struct follower {
	struct scan *scan;
	_Atomic bool ended; /* the writer has */
	pthread_t checker;
	bool pressed;
	struct followed found;
};

static void *check(void *context)
{
	const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000};
	struct follower *f = context;
	bool ended;

	do {
		ended = f->ended; /* before looking, so that what is found then is all there will be */
		scan_on(f->scan);
		if (!ended)
			nanosleep(&pause, NULL);
	} while (!ended);
	return NULL;
}

static void schedule(const struct follower *f, int policy)
{
	const struct sched_param no_priority = {0};
	int error = pthread_setschedparam(f->checker, policy, &no_priority);

	if (error)
		give_up(EXIT_IO, "the checker's scheduling: %s", strerror(error));
}

static void look(struct follower *f)
{
	uint64_t most = f->scan->checks.options->disk_bytes;
	uint64_t bytes = output_allocated(&f->scan->output);
	bool pressed = f->pressed ? bytes > most / 8 : bytes > most / 4;

	if (bytes > f->found.peak_bytes)
		f->found.peak_bytes = bytes;
	if (pressed != f->pressed)
		schedule(f, pressed ? SCHED_OTHER : SCHED_IDLE);
	f->pressed = pressed;
}

static void release(struct follower *f)
{
	uint64_t *released = &f->found.released_bytes;

	while (f->pressed && f->scan->done >= *released + PIECE_BYTES) {
		output_release(&f->scan->output, *released, PIECE_BYTES);
		*released += PIECE_BYTES;
		look(f);
	}
}

/* Waits a little. Returns whether stdin has ended by then; what comes on it means nothing. */
static bool told_to_end(void)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	char ignored[64];

	return poll(&in, 1, LOOK_MS) > 0 && read(STDIN_FILENO, ignored, sizeof(ignored)) <= 0;
}

static bool wait_for_output(struct scan *scan)
{
	bool ended = false;

	while (!output_open(&scan->output, scan->checks.options->output)) {
		if (ended)
			give_up(EXIT_IO, "%s: %s", scan->checks.options->output, strerror(ENOENT));
		ended = told_to_end();
	}
	return ended;
}

struct followed follow(struct scan *scan)
{
	struct follower f = {.scan = scan, .ended = wait_for_output(scan)};
	int error = pthread_create(&f.checker, NULL, check, &f);

	if (error)
		give_up(EXIT_IO, "no thread: %s", strerror(error));
	schedule(&f, SCHED_IDLE);
	if (setpriority(PRIO_PROCESS, 0, WATCHER_NICE)) /* of this thread alone */
		give_up(EXIT_IO, "the watcher's priority: %s", strerror(errno));
	while (!f.ended) {
		look(&f);
		release(&f);
		f.ended = told_to_end();
	}
	look(&f);
	schedule(&f, SCHED_OTHER); /* nobody is measured any more */
	pthread_join(f.checker, NULL);
	return f.found;
}
