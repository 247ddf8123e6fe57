/* SPDX-License-Identifier: Apache-2.0 */
/* The files that the target works on. */
#ifndef AUDIT_DATA_H
#define AUDIT_DATA_H

#include <stdbool.h>
#include <stdint.h>

#include "options.h"

struct data_file {
	char name[RW_NAME_BYTES]; /* as an event has it: cut, and padded with NUL */
	uint64_t inode;
	uint64_t bytes;
	const unsigned char *content; /* NULL if it is empty */
	uint64_t *seen[RW_OPS]; /* a bit for each block */
};

struct data {
	uint32_t dev;
	uint64_t block_bytes;
	uint64_t files;
	struct data_file *file;
};

void data_open(struct data *data, const struct options *options);

/* Returns NULL if there is none. */
struct data_file *data_find(const struct data *data, uint64_t inode, uint32_t dev);

bool data_has_name(const struct data *data, const char *name);

/* Marks the block at an offset, which is inside of the file. Returns whether it had been marked before. */
bool data_mark(const struct data *data, struct data_file *file, uint32_t op, uint64_t offset);

#endif
