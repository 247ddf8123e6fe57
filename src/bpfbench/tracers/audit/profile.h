/* SPDX-License-Identifier: Apache-2.0 */
/* fs-profile's output: slow calls with their stacks, then latencies of each file, then the most used files. */
#ifndef AUDIT_PROFILE_H
#define AUDIT_PROFILE_H

#include "checks.h"
#include "fs_profile.h"

#define TOP_LINES 10

struct latency_line {
	struct fs_key key;
	uint64_t count;
	uint64_t bytes;
	uint64_t slow_most; /* so many of its calls were slow, at most */
	uint64_t record;
};

struct top_line {
	struct fs_file file;
	struct fs_use use;
	uint64_t record;
};

struct profile {
	struct latency_line *latency;
	struct fs_key *slow_key; /* of each slow call */
	struct top_line top[TOP_LINES];
	uint64_t files; /* lines of latencies */
	uint64_t slow;
	uint64_t tops;
	uint64_t other[RW_OPS]; /* calls in the lines for no file */
	uint64_t other_slow_most[RW_OPS];
	uint64_t slow_least; /* by the slots */
	uint64_t slow_most;
	uint64_t frames_due; /* of the slow call read last */
	int kind; /* of the line read last */
};

void profile_line(struct profile *profile, struct checks *checks, const char *line, const char *end);

/* Holds one kind of line against another, once all are read. */
void profile_end(struct profile *profile, struct checks *checks);

#endif
