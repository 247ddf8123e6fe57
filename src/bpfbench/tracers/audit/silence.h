/* SPDX-License-Identifier: Apache-2.0 */
/* How long nothing was recorded: times of calls against the latest of all before. Records of several CPUs lie in the
 * file nearly, not quite, in the order of their times; those few that are late fill no gap. */
#ifndef AUDIT_SILENCE_H
#define AUDIT_SILENCE_H

#include <stdint.h>

#define SILENCES 8

struct silence {
	uint64_t first_ns; /* 0: no call yet */
	uint64_t last_ns;
	struct span {
		uint64_t begin_ns;
		uint64_t end_ns;
	} longest[SILENCES]; /* the longest first */
};

void silence_broken(struct silence *silence, uint64_t at_ns);

#endif
