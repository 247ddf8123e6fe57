/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUDIT_REPORT_H
#define AUDIT_REPORT_H

#include "scan.h"

/* Prints what was found, as JSON; trial/content.py reads it. peak_bytes: the most that was allocated, if it was
 * watched. */
void report(const struct scan *scan, uint64_t peak_bytes, uint64_t released_bytes);

#endif
