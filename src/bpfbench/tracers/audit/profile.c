// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "columns.h"
#include "message.h"
#include "profile.h"

/* In an LRU map, an entry may go to another file between its look-up and the count of a call. */
#define TOP_STRAYS 16

/* No address of any kernel is lower. */
#define KERNEL_ADDRESS (0xffffULL << 48)

/* A slow call takes a million nanoseconds or more, which is within this slot. */
#define SLOW_SLOT 19

enum kind { SLOW_LINE, LATENCY_LINE, TOP_LINE };

static const char *const kinds[] = {"slow\t", "latency\t", "top\t"};

static void *grown(void *array, uint64_t count, size_t size)
{
	/* Twice as large whenever it is full: at powers of two. */
	if (count & (count - 1))
		return array;
	array = realloc(array, (count ? 2 * count : 1) * size);
	if (!array)
		give_up(EXIT_IO, "no memory for %" PRIu64 " lines", count);
	return array;
}

static int order_of(const struct fs_key *a, const struct fs_key *b)
{
	if (a->dev != b->dev)
		return a->dev < b->dev ? -1 : 1;
	if (a->inode != b->inode)
		return a->inode < b->inode ? -1 : 1;
	return (a->op > b->op) - (a->op < b->op);
}

static int by_key(const void *left, const void *right)
{
	return order_of(left, right);
}

static int by_key_of_line(const void *left, const void *right)
{
	const struct latency_line *a = left, *b = right;

	return order_of(&a->key, &b->key);
}

static const struct latency_line *line_of(const struct profile *p, const struct fs_key *key)
{
	const struct latency_line wanted = {.key = *key};

	return bsearch(&wanted, p->latency, p->files, sizeof(wanted), by_key_of_line);
}

/* --- slow calls --- */

static int read_slow(const char *at, const char *end, struct fs_slow *slow, uint64_t *frames)
{
	COLUMN(2, read_u64, UINT64_MAX, &slow->enter_ns);
	COLUMN(3, read_u64, UINT64_MAX, &slow->exit_ns);
	COLUMN(4, read_u32, &slow->dev);
	COLUMN(5, read_u64, UINT64_MAX, &slow->inode);
	COLUMN(6, read_u32, &slow->pid);
	COLUMN(7, read_u32, &slow->tid);
	COLUMN(8, read_u32, &slow->op);
	COLUMN(9, read_s64, &slow->ret);
	at = read_u64(at, UINT64_MAX, frames);
	return at == end ? 0 : 10;
}

static int slow_line(struct profile *p, struct checks *c, const char *at, const char *end)
{
	struct fs_slow slow;
	int column = read_slow(at, end, &slow, &p->frames_due);

	if (column)
		return column;
	c->records++;
	if (!check_ids(c, slow.op, slow.pid, slow.tid))
		return 0;
	if (check_times(c, slow.tid, slow.enter_ns, slow.exit_ns) && slow.exit_ns - slow.enter_ns < FS_SLOW_NS)
		defect(&c->defects, DURATION, "a call of %" PRIu64 " ns is not slow", slow.exit_ns - slow.enter_ns);
	if (!p->frames_due || p->frames_due > FS_FRAMES)
		defect(&c->defects, STACK, "a stack of %" PRIu64 " frames", p->frames_due);
	p->slow_key = grown(p->slow_key, p->slow, sizeof(*p->slow_key));
	p->slow_key[p->slow++] = (struct fs_key){.dev = slow.dev, .op = slow.op, .inode = slow.inode};
	return 0;
}

/* Returns whether it is the line of a frame at all. */
static bool frame_line(struct profile *p, struct checks *c, const char *line, const char *end)
{
	uint64_t address = 0;

	if (end == line || end - line > 16 || strspn(line, "0123456789abcdef") != (size_t)(end - line))
		return false;
	p->frames_due--;
	for (const char *at = line; at < end; at++)
		address = address << 4 | (uint64_t)(*at <= '9' ? *at - '0' : *at - 'a' + 10);
	if (address < KERNEL_ADDRESS)
		defect(&c->defects, STACK, "%" PRIx64 " is no address of the kernel", address);
	return true;
}

/* --- latencies --- */

static int read_latency(const char *at, const char *end, struct fs_key *key, struct fs_latency *latency)
{
	COLUMN(2, read_u32, &key->dev);
	COLUMN(3, read_u64, UINT64_MAX, &key->inode);
	COLUMN(4, read_u32, &key->op);
	COLUMN(5, read_u64, UINT64_MAX, &latency->count);
	COLUMN(6, read_u64, UINT64_MAX, &latency->bytes);
	COLUMN(7, read_u64, UINT64_MAX, &latency->total_ns);
	COLUMN(8, read_u64, UINT64_MAX, &latency->max_ns);
	COLUMN(9, read_string, end, latency->name, sizeof(latency->name));
	for (int i = 0; i < FS_SLOTS; i++) {
		at = read_u64(at, UINT64_MAX, &latency->slots[i]);
		if (!at || (i < FS_SLOTS - 1 ? *at++ != ' ' : at != end))
			return 10;
	}
	return 0;
}

static int slot_of(uint64_t ns)
{
	int slot = ns ? 63 - __builtin_clzll(ns) : 0;

	return slot < FS_SLOTS ? slot : FS_SLOTS - 1;
}

/* The sums of its numbers, each in the place of the 64 bits of which all of them together may be too many. */
static void check_slots(struct checks *c, const struct fs_latency *l)
{
	unsigned __int128 count = 0, least_ns = 0, most_ns = 0;
	int highest = -1;

	for (int i = 0; i < FS_SLOTS; i++) {
		uint64_t longest_ns = i < FS_SLOTS - 1 ? (2ULL << i) - 1 : l->max_ns;

		if (l->slots[i])
			highest = i;
		count += l->slots[i];
		least_ns += (unsigned __int128)l->slots[i] * (i ? 1ULL << i : 0);
		most_ns += (unsigned __int128)l->slots[i] * (longest_ns < l->max_ns ? longest_ns : l->max_ns);
	}
	if (count != l->count)
		defect(&c->defects, SLOTS, "the slots have %" PRIu64 " calls of %" PRIu64, (uint64_t)count, l->count);
	else if (slot_of(l->max_ns) != highest)
		defect(&c->defects, SLOTS, "max_ns %" PRIu64 " is not of slot %d, the highest", l->max_ns, highest);
	else if (l->total_ns < least_ns || l->total_ns > most_ns)
		defect(&c->defects, SLOTS, "total_ns %" PRIu64 " cannot be: %" PRIu64 " to %" PRIu64 " by the slots",
			l->total_ns, (uint64_t)least_ns, (uint64_t)most_ns);
}

static void check_data_file(
	struct checks *c, const struct data_file *file, const struct fs_key *key, const struct fs_latency *l)
{
	uint64_t blocks = file->bytes / c->options->block_bytes;

	c->data_records[key->op] += l->count;
	if (memcmp(l->name, file->name, sizeof(l->name)))
		defect(&c->defects, IDENTITY, "name '%.*s' with the inode of %s", (int)sizeof(l->name), l->name,
			file->name);
	if (l->bytes != l->count * c->options->block_bytes)
		defect(&c->defects, TRANSFER, "%" PRIu64 " calls moved %" PRIu64 " bytes of %s, blocks have %" PRIu64,
			l->count, l->bytes, file->name, c->options->block_bytes);
	if (l->count > blocks)
		defect(&c->defects, REPEATED, "%" PRIu64 " calls for %s, which has %" PRIu64 " blocks", l->count,
			file->name, blocks);
}

static void check_other_file(struct profile *p, struct checks *c, const struct fs_key *key, const struct fs_latency *l)
{
	c->other_records += l->count;
	if (!key->dev && !key->inode)
		p->other[key->op] += l->count;
	if (data_has_name(&c->data, l->name))
		defect(&c->defects, IDENTITY,
			"inode %" PRIu64 ", device %" PRIu32 " with the name '%.*s' of a data file, on device %" PRIu32,
			key->inode, key->dev, (int)sizeof(l->name), l->name, c->data.dev);
}

static int latency_line(struct profile *p, struct checks *c, const char *at, const char *end)
{
	const struct latency_line *before = p->files ? &p->latency[p->files - 1] : NULL;
	const struct data_file *file;
	struct fs_latency latency;
	uint64_t slow_most = 0;
	struct fs_key key;
	int column = read_latency(at, end, &key, &latency);

	if (column)
		return column;
	c->records += latency.count;
	if (!check_ids(c, key.op, 0, 0))
		return 0;
	if (before && order_of(&before->key, &key) >= 0)
		defect(&c->defects, ORDER,
			"dev %" PRIu32 ", inode %" PRIu64 ", op %" PRIu32 " is not after the one before", key.dev,
			key.inode, key.op);
	check_slots(c, &latency);
	for (int i = SLOW_SLOT; i < FS_SLOTS; i++)
		slow_most += latency.slots[i];
	p->slow_most += slow_most;
	p->slow_least += slow_most - latency.slots[SLOW_SLOT];
	file = data_find(&c->data, key.inode, key.dev);
	if (file)
		check_data_file(c, file, &key, &latency);
	else
		check_other_file(p, c, &key, &latency);
	if (!key.dev && !key.inode)
		p->other_slow_most[key.op] += slow_most;
	p->latency = grown(p->latency, p->files, sizeof(*p->latency));
	p->latency[p->files++] = (struct latency_line){key, latency.count, latency.bytes, slow_most, c->defects.record};
	return 0;
}

/* --- the most used files --- */

static int read_top(const char *at, const char *end, struct top_line *top)
{
	COLUMN(2, read_u32, &top->file.dev);
	COLUMN(3, read_u64, UINT64_MAX, &top->file.inode);
	COLUMN(4, read_u64, UINT64_MAX, &top->use.calls);
	at = read_u64(at, UINT64_MAX, &top->use.bytes);
	return at == end ? 0 : 5;
}

static bool in_order(const struct top_line *first, const struct top_line *then)
{
	if (first->use.calls != then->use.calls)
		return first->use.calls > then->use.calls;
	if (first->file.dev != then->file.dev)
		return first->file.dev < then->file.dev;
	return first->file.inode < then->file.inode;
}

static int top_line(struct profile *p, struct checks *c, const char *at, const char *end)
{
	struct top_line top = {.record = c->defects.record};
	int column = read_top(at, end, &top);

	if (column)
		return column;
	if (p->tops == TOP_LINES) {
		defect(&c->defects, TOP, "there are more than %d files", TOP_LINES);
		return 0;
	}
	if (p->tops && !in_order(&p->top[p->tops - 1], &top))
		defect(&c->defects, ORDER, "a file of %" PRIu64 " calls is not after the one before", top.use.calls);
	p->top[p->tops++] = top;
	return 0;
}

/* Not more than in its latencies. Only where the map of those is full, calls of the file may be in those of no file.
 * Where there are as many calls, there are as many bytes. */
static void check_top(const struct profile *p, struct checks *c, const struct top_line *top)
{
	uint64_t calls = 0, bytes = 0, refused = 0;

	for (uint32_t op = 0; op < RW_OPS; op++) {
		const struct fs_key key = {top->file.dev, op, top->file.inode};
		const struct latency_line *line = line_of(p, &key);

		if (line) {
			calls += line->count;
			bytes += line->bytes;
		} else if (p->files >= FS_FILES) {
			refused += p->other[op];
		}
	}
	c->defects.record = top->record;
	if (top->use.calls > calls + refused + TOP_STRAYS || !(calls + refused))
		defect(&c->defects, TOP, "%" PRIu64 " calls of a file that has %" PRIu64, top->use.calls,
			calls + refused);
	else if (!refused && top->use.calls == calls && top->use.bytes != bytes)
		defect(&c->defects, TOP, "%" PRIu64 " bytes of a file that has %" PRIu64, top->use.bytes, bytes);
}

/* --- all of it --- */

void profile_line(struct profile *p, struct checks *c, const char *line, const char *end)
{
	static int (*const readers[])(struct profile *, struct checks *, const char *, const char *) = {
		slow_line, latency_line, top_line};
	int kind = p->kind, column = 1;

	if (p->frames_due) {
		if (frame_line(p, c, line, end))
			return;
		defect(&c->defects, TORN, "%" PRIu64 " frames are missing of a stack", p->frames_due);
		p->frames_due = 0;
	}
	for (kind = SLOW_LINE; kind <= TOP_LINE; kind++) {
		size_t length = strlen(kinds[kind]);

		if ((size_t)(end - line) >= length && !memcmp(line, kinds[kind], length)) {
			column = readers[kind](p, c, line + length, end);
			break;
		}
	}
	if (column)
		defect(&c->defects, TORN, "column %d of a line of %zu bytes is not as it should be", column,
			(size_t)(end - line));
	else if (kind < p->kind)
		defect(&c->defects, ORDER, "a line of %.*s after one of %.*s", (int)strlen(kinds[kind]) - 1,
			kinds[kind], (int)strlen(kinds[p->kind]) - 1, kinds[p->kind]);
	else
		p->kind = kind;
}

/* No file has more slow calls than its latencies say. */
static void check_slow(const struct profile *p, struct checks *c)
{
	uint64_t in_none[RW_OPS] = {0};

	for (uint64_t first = 0, next; first < p->slow; first = next) {
		const struct fs_key *key = &p->slow_key[first];
		const struct latency_line *line = line_of(p, key);
		uint64_t slow, most = line ? line->slow_most : p->other_slow_most[key->op];

		for (next = first + 1; next < p->slow && !order_of(key, &p->slow_key[next]); next++)
			;
		slow = next - first;
		if (!line)
			slow = in_none[key->op] += slow;
		if (slow > most)
			defect(&c->defects, DURATION,
				"%" PRIu64 " slow calls of dev %" PRIu32 ", inode %" PRIu64
				", whose latencies have %" PRIu64,
				slow, key->dev, key->inode, most);
	}
}

void profile_end(struct profile *p, struct checks *c)
{
	if (p->frames_due)
		defect(&c->defects, TORN, "%" PRIu64 " frames are missing of a stack", p->frames_due);
	if (p->files)
		qsort(p->latency, p->files, sizeof(*p->latency), by_key_of_line);
	if (p->slow)
		qsort(p->slow_key, p->slow, sizeof(*p->slow_key), by_key);
	check_slow(p, c);
	for (uint64_t i = 0; i < p->tops; i++)
		check_top(p, c, &p->top[i]);
}
