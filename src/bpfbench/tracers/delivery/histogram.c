// SPDX-License-Identifier: Apache-2.0
#include "histogram.h"

/* By how much the values of a slot are shifted to tell it from its neighbours; 0 where each value has its own. */
static unsigned int shift_of(uint64_t ns)
{
	return ns < 2 * EACH ? 0 : 63 - __builtin_clzll(ns) - EACH_LOG2;
}

static unsigned int slot_of(uint64_t ns)
{
	return shift_of(ns) * EACH + (ns >> shift_of(ns));
}

static uint64_t middle_of(unsigned int slot)
{
	unsigned int shift = slot < 2 * EACH ? 0 : slot / EACH - 1;
	uint64_t low = (uint64_t)(slot - shift * EACH) << shift;

	return low + ((1ULL << shift) >> 1);
}

void histogram_add(struct histogram *h, uint64_t ns)
{
	if (!h->values || ns < h->least)
		h->least = ns;
	if (ns > h->most)
		h->most = ns;
	h->count[slot_of(ns)]++;
	h->values++;
}

uint64_t histogram_at(const struct histogram *h, uint32_t share)
{
	/* Rounded up, in two steps, so that no number of values is too large. */
	uint64_t rank = h->values / 100000 * share + (h->values % 100000 * share + 99999) / 100000;
	uint64_t passed = 0, found;
	unsigned int slot = 0;

	while (slot < SLOTS - 1 && (passed += h->count[slot]) < rank)
		slot++;
	found = middle_of(slot);
	if (found < h->least)
		return h->least;
	return found > h->most ? h->most : found;
}
