// SPDX-License-Identifier: Apache-2.0
#include "silence.h"

static uint64_t length_ns(const struct span *span)
{
	return span->end_ns - span->begin_ns;
}

static void keep(struct silence *silence, struct span span)
{
	int place = SILENCES - 1;

	for (; place > 0 && length_ns(&span) > length_ns(&silence->longest[place - 1]); place--)
		silence->longest[place] = silence->longest[place - 1];
	silence->longest[place] = span;
}

void silence_broken(struct silence *silence, uint64_t at_ns)
{
	if (!silence->first_ns) {
		silence->first_ns = silence->last_ns = at_ns;
	} else if (at_ns > silence->last_ns) {
		struct span span = {silence->last_ns, at_ns};

		if (length_ns(&span) > length_ns(&silence->longest[SILENCES - 1]))
			keep(silence, span);
		silence->last_ns = at_ns;
	} else if (at_ns < silence->first_ns) {
		silence->first_ns = at_ns;
	}
}
