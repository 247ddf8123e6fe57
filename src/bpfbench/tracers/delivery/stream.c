// SPDX-License-Identifier: Apache-2.0
#include <stddef.h>
#include <string.h>

#include "columns.h"
#include "rw_event.h"
#include "stream.h"

static void add_record(struct stream *s, uint64_t exit_ns, uint64_t now_ns)
{
	s->records++;
	if (exit_ns < s->since_ns || exit_ns > now_ns)
		s->impossible++;
	else
		histogram_add(&s->delays, now_ns - exit_ns);
}

/* A whole line; at its end is the '\n'. What the other columns are is not looked at: that costs time, and is checked in
 * other trials. */
static void add_line(struct stream *s, const char *line, const char *end, uint64_t now_ns)
{
	const char *tab = memchr(line, '\t', end - line), *after;
	uint64_t exit_ns;

	if (*line < '0' || *line > '9') { /* which records begin with */
		s->notices++;
		return;
	}
	after = tab ? read_u64(tab + 1, UINT64_MAX, &exit_ns) : NULL;
	if (after && *after == '\t')
		add_record(s, exit_ns, now_ns);
	else
		s->torn++;
}

/* Both return how many bytes are done with. */

static size_t add_lines(struct stream *s, uint64_t now_ns)
{
	const char *at = s->buffer, *end = s->buffer + s->used, *newline;

	while ((newline = memchr(at, '\n', end - at))) {
		if (!s->in_long_line)
			add_line(s, at, newline, now_ns);
		s->in_long_line = false;
		at = newline + 1;
	}
	if (end - at < RECORD_MOST)
		return at - s->buffer;
	s->torn += !s->in_long_line;
	s->in_long_line = true;
	return s->used;
}

static size_t add_records(struct stream *s, uint64_t now_ns)
{
	uint64_t exit_ns;
	size_t done;

	for (done = 0; s->used - done >= s->record_bytes; done += s->record_bytes) {
		memcpy(&exit_ns, s->buffer + done + offsetof(struct rw_event, exit_ns), sizeof(exit_ns));
		add_record(s, exit_ns, now_ns);
	}
	return done;
}

void stream_add(struct stream *s, size_t bytes, uint64_t now_ns)
{
	size_t done;

	s->bytes += bytes;
	s->used += bytes;
	done = (s->record_bytes ? add_records : add_lines)(s, now_ns);
	s->used -= done;
	memmove(s->buffer, s->buffer + done, s->used);
}

void stream_end(struct stream *s)
{
	s->torn += s->used && !s->in_long_line;
	s->used = 0;
}
