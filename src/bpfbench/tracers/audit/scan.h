/* SPDX-License-Identifier: Apache-2.0 */
/* From the bytes of an output, as far as they are there, to records. */
#ifndef AUDIT_SCAN_H
#define AUDIT_SCAN_H

#include <stdatomic.h>

#include "checks.h"
#include "output.h"
#include "profile.h"

struct scan {
	struct output output;
	struct checks checks;
	struct profile profile;
	_Atomic uint64_t done; /* bytes that are not looked at again */
	uint64_t lines; /* or binary records, torn ones too */
	uint64_t record_bytes; /* of the whole ones */
	uint64_t notices;
	bool in_long_line;
};

/* Checks what was written since the last time. */
void scan_on(struct scan *scan);

/* Says of what is left that it is no record. */
void scan_end(struct scan *scan);

#endif
