// SPDX-License-Identifier: Apache-2.0
#include <string.h>
#include <time.h>

#include "message.h"
#include "scan.h"

/* The longest line there can be has 16384 bytes of payload, of three characters each, and some hundreds before. */
#define LINE_BYTES 65536

static const char *const notices[] = {"Lost ", "stdin:", "Additional Info", " "};

/* Of bpftrace, which puts them among its records. */
static bool is_notice(const char *line, size_t bytes)
{
	for (size_t i = 0; i < sizeof(notices) / sizeof(notices[0]); i++)
		if (bytes >= strlen(notices[i]) && !memcmp(line, notices[i], strlen(notices[i])))
			return true;
	return false;
}

static void begin_record(struct scan *s)
{
	s->checks.defects.record = ++s->lines;
}

/* A whole line, its end not among its bytes. */
static void scan_line(struct scan *s, const char *line, size_t bytes)
{
	struct record record;
	int column;

	if (s->checks.options->notices && is_notice(line, bytes)) {
		s->notices++;
		return;
	}
	begin_record(s);
	if (s->checks.options->profile) {
		s->record_bytes += bytes + 1;
		profile_line(&s->profile, &s->checks, line, line + bytes);
		return;
	}
	column = record_from_line(&record, line, line + bytes, s->checks.options->payload_bytes);
	if (column) {
		defect(&s->checks.defects, TORN, "column %d of a line of %zu bytes is not as it should be", column,
			bytes);
		return;
	}
	s->record_bytes += bytes + 1;
	check_record(&s->checks, &record);
}

/* Returns how many bytes are done with. */
static size_t scan_lines(struct scan *s, const char *from, size_t available)
{
	const char *at = from, *end = from + available, *newline;

	while (at < end && (newline = memchr(at, '\n', end - at))) {
		if (!s->in_long_line)
			scan_line(s, at, newline - at);
		s->in_long_line = false;
		at = newline + 1;
	}
	if (end - at < LINE_BYTES)
		return at - from;
	if (!s->in_long_line) {
		begin_record(s);
		defect(&s->checks.defects, TORN, "a line of more than %d bytes", LINE_BYTES);
	}
	s->in_long_line = true;
	return available;
}

static bool all_zero(const char *bytes, size_t size)
{
	return !size || (!bytes[0] && !memcmp(bytes, bytes + 1, size - 1));
}

static bool padded(const char *string, size_t size)
{
	size_t length = strnlen(string, size);

	return length < size && all_zero(string + length, size - length);
}

static size_t scan_records(struct scan *s, const char *from, size_t available)
{
	size_t room = s->checks.options->payload_bytes, size = RW_EVENT_BYTES + room, done;
	struct record r;

	for (done = 0; available - done >= size; done += size) {
		begin_record(s);
		record_from_bytes(&r, from + done);
		if (!padded(r.comm, sizeof(r.comm)) || !padded(r.name, sizeof(r.name)))
			defect(&s->checks.defects, PADDING, "comm or name is not padded with zeros");
		else if (r.payload_len < room && !all_zero(r.payload + r.payload_len, room - r.payload_len))
			defect(&s->checks.defects, PADDING, "there is more after a payload of %u bytes", r.payload_len);
		s->record_bytes += size;
		check_record(&s->checks, &r);
	}
	return done;
}

void scan_on(struct scan *s)
{
	struct timespec now;
	size_t available, done;

	output_look(&s->output);
	if (s->output.bytes < s->done)
		give_up(EXIT_IO, "the output was cut while it was read");
	/* Not before the size is known: what was written by then has happened by now. */
	clock_gettime(CLOCK_MONOTONIC, &now);
	s->checks.now_ns = now.tv_sec * 1000000000ULL + now.tv_nsec;
	while (s->done < s->output.bytes) {
		const char *from = output_at(&s->output, s->done, LINE_BYTES, &available);

		done = (s->checks.options->format == TEXT ? scan_lines : scan_records)(s, from, available);
		if (!done)
			return;
		s->done += done;
	}
}

void scan_end(struct scan *s)
{
	uint64_t left = s->output.bytes - s->done;

	if (left && !s->in_long_line) {
		begin_record(s);
		defect(&s->checks.defects, TORN, "the output ends with %llu bytes of a record",
			(unsigned long long)left);
	}
	if (s->checks.options->profile)
		profile_end(&s->profile, &s->checks);
}
