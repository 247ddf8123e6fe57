// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "columns.h"
#include "record.h"

enum { COLUMN_COMM = 13, COLUMN_NAME, COLUMN_PAYLOAD_LEN, COLUMN_PAYLOAD };

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
