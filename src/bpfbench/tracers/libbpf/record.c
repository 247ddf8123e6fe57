// SPDX-License-Identifier: Apache-2.0
#include <stddef.h>
#include <string.h>

#include "record.h"

/* 13 integers of at most 20 characters, comm and name, each with a separator. */
#define TEXT_EVENT_BYTES (13 * 21 + RW_COMM_BYTES + RW_NAME_BYTES + 2)

/* Its kind, 9 integers, and its frames, each on a line. */
#define SLOW_BYTES (5 + 9 * 21 + FS_FRAMES * 17)
/* Its kind, 7 integers, the name, and its slots. */
#define LATENCY_BYTES (8 + 7 * 21 + RW_NAME_BYTES + 1 + FS_SLOTS * 21)

static char decimal_pair[100][2];
static char hex_byte[256][4]; /* two digits, a space, and one more to make it a word */

void record_init(void)
{
	for (int i = 0; i < 100; i++) {
		decimal_pair[i][0] = '0' + i / 10;
		decimal_pair[i][1] = '0' + i % 10;
	}
	for (int i = 0; i < 256; i++) {
		hex_byte[i][0] = "0123456789abcdef"[i >> 4];
		hex_byte[i][1] = "0123456789abcdef"[i & 15];
		hex_byte[i][2] = ' ';
	}
}

/* Each put_ function writes at to and returns where it ended. */

static char *put_u64(char *to, uint64_t value)
{
	char digits[20];
	char *start = digits + sizeof(digits);
	size_t length;

	while (value >= 10) {
		start -= 2;
		memcpy(start, decimal_pair[value % 100], 2);
		value /= 100;
	}
	/* What is left is one digit, or none if the last pair was also the first. */
	if (value || start == digits + sizeof(digits))
		*--start = '0' + value;
	length = digits + sizeof(digits) - start;
	memcpy(to, start, length);
	return to + length;
}

static char *put_field(char *to, uint64_t value)
{
	to = put_u64(to, value);
	*to++ = '\t';
	return to;
}

static char *put_signed_field(char *to, int64_t value)
{
	if (value >= 0)
		return put_field(to, value);
	*to++ = '-';
	return put_field(to, -(uint64_t)value);
}

static char *put_string_field(char *to, const char *string, size_t size)
{
	size_t length = strnlen(string, size);

	memcpy(to, string, length);
	to[length] = '\t';
	return to + length + 1;
}

static size_t put_event(char *to, const struct rw_event *event)
{
	char *end = to;

	end = put_field(end, event->enter_ns);
	end = put_field(end, event->exit_ns);
	end = put_field(end, event->offset);
	end = put_field(end, event->count);
	end = put_signed_field(end, event->ret);
	end = put_field(end, event->inode);
	end = put_field(end, event->dev);
	end = put_field(end, event->pid);
	end = put_field(end, event->tid);
	end = put_field(end, event->op);
	end = put_field(end, event->flags);
	end = put_field(end, event->uid);
	end = put_string_field(end, event->comm, sizeof(event->comm));
	end = put_string_field(end, event->name, sizeof(event->name));
	end = put_u64(end, event->payload_len);
	return end - to;
}

/* Copies words of four bytes in steps of three: the one byte too many is overwritten by what follows. */
static void put_payload(char *to, const unsigned char *payload, size_t length)
{
	for (size_t i = 0; i < length; i++, to += 3)
		memcpy(to, hex_byte[payload[i]], 4);
}

void record_event_text(struct output *output, const struct rw_event *event, uint32_t payload_bytes)
{
	char head[TEXT_EVENT_BYTES];
	size_t head_size = put_event(head, event);
	size_t payload_size = event->payload_len ? 3 * event->payload_len - 1 : 0;
	size_t size = head_size + (payload_bytes ? 1 + payload_size : 0) + 1;
	char *to = output_begin(output, size);

	memcpy(to, head, head_size);
	if (payload_bytes) {
		to[head_size] = '\t';
		put_payload(to + head_size + 1, (const unsigned char *)(event + 1), event->payload_len);
	}
	to[size - 1] = '\n';
	output_end(output, size, 1);
}

void record_event_binary(struct output *output, const struct rw_event *event, uint32_t payload_bytes)
{
	/* [snippet format] */
	size_t size = sizeof(*event) + payload_bytes;
	size_t filled = sizeof(*event) + event->payload_len;
	char *to = output_begin(output, size);

	memcpy(to, event, filled);
	memset(to + filled, 0, size - filled);
	output_end(output, size, 1);
	/* [end format] */
}

void record_count_text(struct output *output, uint64_t number, uint64_t count)
{
	char line[2 * 21];
	char *end = put_u64(put_field(line, number), count);
	size_t size;

	*end++ = '\n';
	size = end - line;
	memcpy(output_begin(output, size), line, size);
	output_end(output, size, count);
}

void record_count_binary(struct output *output, uint64_t number, uint64_t count)
{
	const uint64_t record[] = {number, count};

	memcpy(output_begin(output, sizeof(record)), record, sizeof(record));
	output_end(output, sizeof(record), count);
}

static char *put_kind(char *to, const char *kind)
{
	return put_string_field(to, kind, strlen(kind));
}

static char *put_hex_line(char *to, uint64_t value)
{
	int shift = 60;

	while (shift && !(value >> shift))
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		*to++ = "0123456789abcdef"[value >> shift & 15];
	*to++ = '\n';
	return to;
}

/* Ends the last field with the line, instead of a tab. */
static void put_line(struct output *output, const char *line, char *end, uint64_t events)
{
	size_t size = end - line;

	end[-1] = '\n';
	memcpy(output_begin(output, size), line, size);
	output_end(output, size, events);
}

void record_slow_text(struct output *output, const struct fs_slow *slow, size_t size)
{
	size_t frames = (size - offsetof(struct fs_slow, stack)) / sizeof(slow->stack[0]);
	char lines[SLOW_BYTES];
	char *end = put_kind(lines, "slow");

	end = put_field(end, slow->enter_ns);
	end = put_field(end, slow->exit_ns);
	end = put_field(end, slow->dev);
	end = put_field(end, slow->inode);
	end = put_field(end, slow->pid);
	end = put_field(end, slow->tid);
	end = put_field(end, slow->op);
	end = put_signed_field(end, slow->ret);
	end = put_field(end, frames);
	end[-1] = '\n';
	for (size_t i = 0; i < frames; i++)
		end = put_hex_line(end, slow->stack[i]);
	put_line(output, lines, end, 1);
}

void record_latency_text(struct output *output, const struct fs_key *key, const struct fs_latency *latency)
{
	char line[LATENCY_BYTES];
	char *end = put_kind(line, "latency");

	end = put_field(end, key->dev);
	end = put_field(end, key->inode);
	end = put_field(end, key->op);
	end = put_field(end, latency->count);
	end = put_field(end, latency->bytes);
	end = put_field(end, latency->total_ns);
	end = put_field(end, latency->max_ns);
	end = put_string_field(end, latency->name, sizeof(latency->name));
	for (int i = 0; i < FS_SLOTS; i++) {
		end = put_u64(end, latency->slots[i]);
		*end++ = ' ';
	}
	put_line(output, line, end, latency->count);
}

void record_top_text(struct output *output, const struct fs_file *file, const struct fs_use *use)
{
	char line[4 + 4 * 21];
	char *end = put_kind(line, "top");

	end = put_field(end, file->dev);
	end = put_field(end, file->inode);
	end = put_field(end, use->calls);
	end = put_field(end, use->bytes);
	put_line(output, line, end, 0);
}
