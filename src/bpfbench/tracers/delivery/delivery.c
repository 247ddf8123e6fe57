// SPDX-License-Identifier: Apache-2.0
/* Reads what a tracer writes from a pipe, and says how long its events took: from their end, by their column exit_ns,
 * until they could be read. bpfbench's trial/delivery.py runs it, until its stdin ends.
 *
 * It sleeps until something comes, and then looks at the clock before anything else: how much is there is asked first,
 * so that all of that could be read by then, however long reading it takes. It has the highest priority, so that on a
 * CPU that target and tracer want, too, hardly more than its waking up is in what it says.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "rw_event.h"
#include "stream.h"

#define HIGHEST_NICE -20

static _Noreturn void give_up(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void give_up(const char *format, ...)
{
	va_list values;

	fputs("delivery: ", stderr);
	va_start(values, format);
	vfprintf(stderr, format, values);
	va_end(values);
	fputc('\n', stderr);
	exit(1);
}

static uint64_t number(const char *text, uint64_t least, uint64_t most)
{
	size_t digits = strspn(text, "0123456789");
	uint64_t value;

	errno = 0;
	value = strtoull(text, NULL, 10);
	if (!digits || text[digits] || errno || value < least || value > most)
		give_up("%s is no number from %" PRIu64 " to %" PRIu64, text, least, most);
	return value;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

static size_t read_some(int pipe, char *to, size_t most)
{
	ssize_t bytes;

	do
		bytes = read(pipe, to, most);
	while (bytes < 0 && errno == EINTR);
	if (bytes <= 0)
		give_up("the pipe: %s", bytes ? strerror(errno) : "it has ended");
	return bytes;
}

/* Until nothing is there. */
static void take(int pipe, struct stream *stream)
{
	int there;

	for (;;) {
		uint64_t by_ns;

		if (ioctl(pipe, FIONREAD, &there))
			give_up("the pipe: %s", strerror(errno));
		if (!there)
			return;
		by_ns = now_ns();
		while (there) {
			size_t most = there < PIECE_BYTES ? there : PIECE_BYTES;
			size_t bytes = read_some(pipe, stream->buffer + stream->used, most);

			stream_add(stream, bytes, by_ns);
			there -= bytes;
		}
	}
}

/* Waits until something is in the pipe, or stdin has ended. Returns whether it has; what comes there means nothing. */
static bool wait_for(int pipe)
{
	struct pollfd awaited[] = {{.fd = pipe, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
	char ignored[64];

	if (poll(awaited, 2, -1) < 0 && errno != EINTR)
		give_up("poll: %s", strerror(errno));
	return awaited[1].revents && read(STDIN_FILENO, ignored, sizeof(ignored)) <= 0;
}

static void put(const char *name, uint64_t value)
{
	printf("\"%s\": %" PRIu64 ", ", name, value);
}

static void report(const struct stream *s)
{
	static const struct {
		const char *name;
		uint32_t share;
	} at[] = {{"p50", 50000}, {"p99", 99000}, {"p999", 99900}};
	const struct histogram *h = &s->delays;

	putchar('{');
	put("records", s->records);
	put("output_bytes", s->bytes);
	put("notices", s->notices);
	put("torn", s->torn);
	put("impossible", s->impossible);
	printf("\"delay_ns\": ");
	if (h->values) {
		putchar('{');
		put("min", h->least);
		for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++)
			put(at[i].name, histogram_at(h, at[i].share));
		printf("\"max\": %" PRIu64 "}", h->most);
	} else {
		printf("null");
	}
	printf("}\n");
	if (fflush(stdout) || ferror(stdout))
		give_up("the result cannot be written");
}

int main(int argc, char **argv)
{
	static struct stream stream;
	bool ended;
	int pipe;

	if (argc != 4)
		give_up("usage: delivery FD RECORD_BYTES SINCE_NS, with 0 bytes of records that are lines");
	pipe = number(argv[1], 0, INT32_MAX);
	stream.record_bytes = number(argv[2], 0, RECORD_MOST);
	if (stream.record_bytes && stream.record_bytes < RW_EVENT_BYTES)
		give_up("a record has %d bytes or more", RW_EVENT_BYTES);
	stream.since_ns = number(argv[3], 0, UINT64_MAX);
	if (setpriority(PRIO_PROCESS, 0, HIGHEST_NICE))
		give_up("its priority: %s", strerror(errno));
	do {
		ended = wait_for(pipe); /* before looking, so that what is found then is all there will be */
		take(pipe, &stream);
	} while (!ended);
	stream_end(&stream);
	report(&stream);
	return 0;
}
