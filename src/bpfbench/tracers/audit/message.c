// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "message.h"

void give_up(int status, const char *format, ...)
{
	va_list values;

	fputs("audit: ", stderr);
	va_start(values, format);
	vfprintf(stderr, format, values);
	va_end(values);
	fputc('\n', stderr);
	/* Not exit(): the other thread may be anywhere. */
	_Exit(status);
}
