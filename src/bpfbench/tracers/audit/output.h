/* SPDX-License-Identifier: Apache-2.0 */
/* A tracer's output, which may still grow, seen through a window. */
#ifndef AUDIT_OUTPUT_H
#define AUDIT_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct output {
	int fd;
	uint64_t bytes; /* as last looked up */
	char *window;
	uint64_t window_at;
};

/* Returns whether it is there. */
bool output_open(struct output *output, const char *path);

/* Looks up how large it is now. */
void output_look(struct output *output);

/* Returns where the bytes from an offset on can be read, and how many. These are all there are, or `wanted` (not more
 * than a window less a page) or more. */
const char *output_at(struct output *output, uint64_t offset, size_t wanted, size_t *available);

/* What it takes on the disk, with what is yet to be written there. */
uint64_t output_allocated(const struct output *output);

/* Gives the blocks of a piece back. */
void output_release(const struct output *output, uint64_t offset, uint64_t bytes);

#endif
