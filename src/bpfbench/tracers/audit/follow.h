/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUDIT_FOLLOW_H
#define AUDIT_FOLLOW_H

#include "scan.h"

struct followed {
	uint64_t peak_bytes; /* the most the output took on the disk */
	uint64_t released_bytes; /* of what was checked */
};

/* Checks an output while it is written, until stdin ends, and then the rest of it. */
struct followed follow(struct scan *scan);

#endif
