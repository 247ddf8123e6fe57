/* SPDX-License-Identifier: Apache-2.0 */
/* Times in nanoseconds, counted in slots that are the wider the longer they are, as an HdrHistogram's: 32 for each
 * power of two, so that the middle of a slot is within 1/64 of what is in it. */
#ifndef DELIVERY_HISTOGRAM_H
#define DELIVERY_HISTOGRAM_H

#include <stdint.h>

enum {
	EACH_LOG2 = 5,
	EACH = 1 << EACH_LOG2,
	SLOTS = (64 - EACH_LOG2 + 1) * EACH, /* whatever fits into 64 bits has one */
};

struct histogram {
	uint64_t count[SLOTS];
	uint64_t values;
	uint64_t least, most; /* exactly; of no values, 0 */
};

void histogram_add(struct histogram *histogram, uint64_t ns);

/* Returns which value that share of them do not exceed, in 1/100000; there is one at least. */
uint64_t histogram_at(const struct histogram *histogram, uint32_t share);

#endif
