/* SPDX-License-Identifier: Apache-2.0 */
/* What is demanded of each record, and of one after the other. */
#ifndef AUDIT_CHECKS_H
#define AUDIT_CHECKS_H

#include "data.h"
#include "defects.h"
#include "options.h"
#include "record.h"
#include "silence.h"

struct checks {
	const struct options *options;
	struct data data;
	struct defects defects;
	struct silence silence;
	uint64_t now_ns; /* when the output was as large as it is now known to be */
	uint64_t *ended_ns; /* by thread id, when its last call ended */
	uint64_t records; /* whole ones */
	uint64_t data_records[RW_OPS];
	uint64_t other_records;
	uint64_t uncopied; /* other records without the payload they might have had */
	uint64_t comparable;
	uint64_t compared;
};

void checks_begin(struct checks *checks, const struct options *options);
void check_record(struct checks *checks, const struct record *record);

/* Those of them that do not depend on the tool. Returns whether there are such calls, and whether their times can be.
 */
bool check_ids(struct checks *checks, uint32_t op, uint32_t pid, uint32_t tid);
bool check_times(struct checks *checks, uint32_t tid, uint64_t enter_ns, uint64_t exit_ns);

#endif
