// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "record.h"

enum { COLUMN_COMM = 13, COLUMN_NAME, COLUMN_PAYLOAD_LEN, COLUMN_PAYLOAD };

/* Each read_ function returns where it ended, or NULL. Those of numbers need not be told where the line ends: no digit
 * is there. */

static const char *read_u64(const char *at, uint64_t most, uint64_t *value)
{
	const char *start = at;
	uint64_t n = 0;

	for (; *at >= '0' && *at <= '9'; at++) {
		unsigned int digit = *at - '0';

		if (at - start < 19) /* which always fit */
			n = 10 * n + digit;
		else if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, digit, &n))
			return NULL;
	}
	if (at == start || (*start == '0' && at - start > 1) || n > most)
		return NULL;
	*value = n;
	return at;
}

static const char *read_s64(const char *at, int64_t *value)
{
	bool negative = *at == '-';
	uint64_t magnitude;

	at = read_u64(at + negative, INT64_MAX + (uint64_t)negative, &magnitude);
	if (!at || (negative && !magnitude))
		return NULL;
	*value = negative ? -magnitude : magnitude;
	return at;
}

static const char *read_u32(const char *at, uint32_t *value)
{
	uint64_t wide;

	at = read_u64(at, UINT32_MAX, &wide);
	if (at)
		*value = wide;
	return at;
}

/* Up to the next tab, and with room for a NUL. */
static const char *read_string(const char *at, const char *end, char *to, size_t size)
{
	size_t left = end - at;
	const char *tab = memchr(at, '\t', left < size ? left : size);

	if (!tab)
		return NULL;
	memset(to, 0, size);
	memcpy(to, at, tab - at);
	return tab;
}

#define COLUMN(number, read, ...)                                                                                      \
	do {                                                                                                           \
		at = read(at, __VA_ARGS__);                                                                            \
		if (!at || *at++ != '\t')                                                                              \
			return number;                                                                                 \
	} while (0)

int record_from_line(struct record *r, const char *line, const char *end, bool with_payload)
{
	const char *at = line;

	COLUMN(1, read_u64, UINT64_MAX, &r->enter_ns);
	COLUMN(2, read_u64, UINT64_MAX, &r->exit_ns);
	COLUMN(3, read_u64, UINT64_MAX, &r->offset);
	COLUMN(4, read_u64, UINT64_MAX, &r->count);
	COLUMN(5, read_s64, &r->ret);
	COLUMN(6, read_u64, UINT64_MAX, &r->inode);
	COLUMN(7, read_u32, &r->dev);
	COLUMN(8, read_u32, &r->pid);
	COLUMN(9, read_u32, &r->tid);
	COLUMN(10, read_u32, &r->op);
	COLUMN(11, read_u32, &r->flags);
	COLUMN(12, read_u32, &r->uid);
	COLUMN(COLUMN_COMM, read_string, end, r->comm, sizeof(r->comm));
	COLUMN(COLUMN_NAME, read_string, end, r->name, sizeof(r->name));
	at = read_u32(at, &r->payload_len);
	if (!at || *at != (with_payload ? '\t' : '\n'))
		return COLUMN_PAYLOAD_LEN;
	if (!with_payload)
		return 0;
	r->payload = at + 1;
	return end - r->payload == (r->payload_len ? 3 * (int64_t)r->payload_len - 1 : 0) ? 0 : COLUMN_PAYLOAD;
}

void record_from_bytes(struct record *record, const char *bytes)
{
	struct rw_event e;

	memcpy(&e, bytes, sizeof(e));
	*record = (struct record){
		.enter_ns = e.enter_ns,
		.exit_ns = e.exit_ns,
		.offset = e.offset,
		.count = e.count,
		.ret = e.ret,
		.inode = e.inode,
		.dev = e.dev,
		.pid = e.pid,
		.tid = e.tid,
		.op = e.op,
		.flags = e.flags,
		.uid = e.uid,
		.payload_len = e.payload_len,
		.payload = bytes + sizeof(e),
	};
	memcpy(record->comm, e.comm, sizeof(e.comm));
	memcpy(record->name, e.name, sizeof(e.name));
}

static char hex_word[256][4]; /* two digits and a space */

void record_init(void)
{
	for (int byte = 0; byte < 256; byte++) {
		hex_word[byte][0] = "0123456789abcdef"[byte >> 4];
		hex_word[byte][1] = "0123456789abcdef"[byte & 15];
		hex_word[byte][2] = ' ';
	}
}

size_t hex_differs(const char *hex, const unsigned char *bytes, size_t length)
{
	static const unsigned char two_digits_and_space[4] = {0xff, 0xff, 0xff, 0};
	uint32_t mask, is, should;
	size_t i;

	if (!length)
		return 0;
	memcpy(&mask, two_digits_and_space, sizeof(mask));
	/* Four bytes at a time, of which the last is the next one's digit. */
	for (i = 0; i + 1 < length; i++) {
		memcpy(&is, hex + 3 * i, sizeof(is));
		memcpy(&should, hex_word[bytes[i]], sizeof(should));
		if ((is ^ should) & mask)
			return i;
	}
	/* The last has no next one, and what is there may not be readable: the output may end with a page. */
	return memcmp(hex + 3 * i, hex_word[bytes[i]], 2) ? i : length;
}
