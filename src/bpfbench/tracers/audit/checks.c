// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "checks.h"
#include "message.h"

/* The most there are in any kernel (PID_MAX_LIMIT). Pages of the table that no thread needs take no memory. */
#define THREADS (4U << 20)

static const char *const verbs[RW_OPS] = {"read", "write"};

void checks_begin(struct checks *checks, const struct options *options)
{
	checks->options = options;
	data_open(&checks->data, options);
	checks->ended_ns = calloc(THREADS, sizeof(*checks->ended_ns));
	if (!checks->ended_ns)
		give_up(EXIT_IO, "no memory for the times of %u threads", THREADS);
}

/* Whether they can be used as what they are. */
bool check_ids(struct checks *c, uint32_t op, uint32_t pid, uint32_t tid)
{
	if (op < RW_OPS && pid < THREADS && tid < THREADS)
		return true;
	defect(&c->defects, IMPOSSIBLE, "op %" PRIu32 ", pid %" PRIu32 ", tid %" PRIu32, op, pid, tid);
	return false;
}

bool check_times(struct checks *c, uint32_t tid, uint64_t enter_ns, uint64_t exit_ns)
{
	if (enter_ns > exit_ns) {
		defect(&c->defects, BACKWARDS, "enter_ns %" PRIu64 " > exit_ns %" PRIu64, enter_ns, exit_ns);
		return false;
	}
	if (enter_ns < c->options->since_ns || exit_ns > c->now_ns) {
		defect(&c->defects, CLOCK,
			"%" PRIu64 " to %" PRIu64 " is not within %" PRIu64 " (tracer started) to %" PRIu64
			" (checked)",
			enter_ns, exit_ns, c->options->since_ns, c->now_ns);
		return false;
	}
	if (enter_ns < c->ended_ns[tid])
		defect(&c->defects, THREAD_ORDER,
			"thread %" PRIu32 " enters at %" PRIu64 ", and left its call before at %" PRIu64, tid, enter_ns,
			c->ended_ns[tid]);
	c->ended_ns[tid] = exit_ns;
	return true;
}

static void check_comm(struct checks *c, const struct record *r)
{
	if (memcmp(r->comm, c->options->comm, sizeof(r->comm)))
		defect(&c->defects, COMM, "comm '%.*s', not '%s'", (int)sizeof(r->comm), r->comm, c->options->comm);
}

static uint64_t wanted_payload(const struct checks *c, const struct record *r)
{
	if (r->ret <= 0)
		return 0;
	return (uint64_t)r->ret < c->options->payload_bytes ? (uint64_t)r->ret : c->options->payload_bytes;
}

/* Of what is not data the payload may be missing: a copy fails where the kernel has not touched the buffer. */
static bool check_payload_length(struct checks *c, const struct record *r, bool is_data)
{
	uint64_t wanted = wanted_payload(c, r);

	if (r->payload_len == wanted)
		return true;
	if (!r->payload_len && !is_data)
		c->uncopied++;
	else
		defect(&c->defects, PAYLOAD_LENGTH, "payload_len %" PRIu32 " after ret %" PRId64 ", not %" PRIu64,
			r->payload_len, r->ret, wanted);
	return false;
}

/* Returns whether all of it lies inside of the file. */
static bool check_place(struct checks *c, const struct record *r, struct data_file *file)
{
	bool inside = r->count <= file->bytes && r->offset <= file->bytes - r->count;

	if (!inside || r->offset % c->options->block_bytes)
		defect(&c->defects, OFFSET,
			"%s at offset %" PRIu64 " of %s, which has blocks of %" PRIu64 " bytes, %" PRIu64 " in all",
			verbs[r->op], r->offset, file->name, c->options->block_bytes, file->bytes);
	if (r->count != c->options->block_bytes || r->ret < 0 || (uint64_t)r->ret != r->count)
		defect(&c->defects, TRANSFER, "%s of %" PRIu64 " bytes returned %" PRId64 ", blocks have %" PRIu64,
			verbs[r->op], r->count, r->ret, c->options->block_bytes);
	if (r->offset < file->bytes && data_mark(&c->data, file, r->op, r->offset))
		defect(&c->defects, REPEATED, "%s at offset %" PRIu64 " of %s, which there was before", verbs[r->op],
			r->offset, file->name);
	return inside;
}

static size_t payload_differs(const struct checks *c, const struct record *r, const struct data_file *file)
{
	const unsigned char *content = file->content + r->offset;

	if (c->options->format == TEXT)
		return hex_differs(r->payload, content, r->payload_len);
	if (!memcmp(r->payload, content, r->payload_len))
		return r->payload_len;
	for (size_t i = 0;; i++)
		if ((unsigned char)r->payload[i] != content[i])
			return i;
}

/* A sample, by a rule that whoever reads the result can check: the first, and each compare_every-th after it. */
static void check_payload(struct checks *c, const struct record *r, const struct data_file *file)
{
	size_t differs;

	if (r->op != c->options->compare_op || !r->payload_len || !c->options->compare_every)
		return;
	if (c->comparable++ % c->options->compare_every)
		return;
	c->compared++;
	differs = payload_differs(c, r, file);
	if (differs < r->payload_len)
		defect(&c->defects, PAYLOAD,
			"%s at offset %" PRIu64 " of %s: byte %zu of %" PRIu32 " is not the file's", verbs[r->op],
			r->offset, file->name, differs, r->payload_len);
}

static void check_data(struct checks *c, const struct record *r, struct data_file *file, bool timed)
{
	bool inside = check_place(c, r, file);
	bool long_enough = check_payload_length(c, r, true);

	c->data_records[r->op]++;
	if (memcmp(r->name, file->name, sizeof(r->name)))
		defect(&c->defects, IDENTITY, "name '%.*s' with the inode of %s", (int)sizeof(r->name), r->name,
			file->name);
	if (timed)
		silence_broken(&c->silence, r->exit_ns);
	/* What was moved is at most count, all of which is then in the file. */
	if (inside && long_enough && r->payload_len <= r->count)
		check_payload(c, r, file);
}

static void check_other(struct checks *c, const struct record *r)
{
	c->other_records++;
	check_payload_length(c, r, false);
	if (data_has_name(&c->data, r->name))
		defect(&c->defects, IDENTITY,
			"inode %" PRIu64 ", device %" PRIu32 " with the name '%.*s' of a data file, on device %" PRIu32,
			r->inode, r->dev, (int)sizeof(r->name), r->name, c->data.dev);
}

void check_record(struct checks *c, const struct record *r)
{
	struct data_file *file;
	bool timed;

	c->records++;
	if (!check_ids(c, r->op, r->pid, r->tid))
		return;
	timed = check_times(c, r->tid, r->enter_ns, r->exit_ns);
	check_comm(c, r);
	file = data_find(&c->data, r->inode, r->dev);
	if (file)
		check_data(c, r, file, timed);
	else
		check_other(c, r);
}
