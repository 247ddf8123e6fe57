/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON summary. Its file is made beside the final one, with its space reserved: the disk may be full when it is
 * due. */
#ifndef SUMMARY_H
#define SUMMARY_H

#include "run.h"

struct summary {
	const char *path;
	char *temporary;
	int fd;
};

/* Each returns 0 or a negative errno. */
int summary_create(struct summary *summary, const char *path);
int summary_write(struct summary *summary, const struct run *run);

void summary_discard(struct summary *summary);

#endif
