// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stdio.h>

#include "defects.h"

const char *const defect_names[DEFECTS] = {
	[TORN] = "torn",
	[IMPOSSIBLE] = "impossible",
	[PAYLOAD_LENGTH] = "payload_length",
	[PADDING] = "padding",
	[PAYLOAD] = "payload",
	[BACKWARDS] = "backwards",
	[CLOCK] = "clock",
	[THREAD_ORDER] = "thread_order",
	[COMM] = "comm",
	[IDENTITY] = "identity",
	[OFFSET] = "offset",
	[TRANSFER] = "transfer",
	[REPEATED] = "repeated",
	[ORDER] = "order",
	[SLOTS] = "slots",
	[DURATION] = "duration",
	[STACK] = "stack",
	[TOP] = "top",
};

void defect(struct defects *defects, enum defect kind, const char *format, ...)
{
	struct found *found = &defects->found[kind];
	va_list values;

	if (found->count++)
		return;
	found->record = defects->record;
	va_start(values, format);
	vsnprintf(found->example, sizeof(found->example), format, values);
	va_end(values);
}
