// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/libbpf.h>

#include "message.h"

static char warning[MESSAGE_BYTES];
static char verdict[MESSAGE_BYTES];

void say(const char *format, ...)
{
	char line[2 * MESSAGE_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	for (char *c = line; *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = ' ';
	fprintf(stderr, "tracer: %s\n", line);
}

/* The verifier's log ends in its reason, followed by "processed N insns ..." and libbpf's own end mark. */
static void keep_verdict(char *log)
{
	char *end = strstr(log, "\nprocessed ");
	char *start;

	if (!end)
		return;
	*end = '\0';
	start = strrchr(log, '\n');
	snprintf(verdict, sizeof(verdict), ": %s", start ? start + 1 : log);
}

static void keep_warning(const char *text)
{
	static const char prefix[] = "libbpf: ";

	if (!strncmp(text, prefix, strlen(prefix)))
		text += strlen(prefix);
	snprintf(warning, sizeof(warning), "%.*s", (int)strcspn(text, "\n"), text);
}

static int on_libbpf_print(enum libbpf_print_level level, const char *format, va_list args)
{
	char *text;

	if (level != LIBBPF_WARN || vasprintf(&text, format, args) < 0)
		return 0;
	if (strstr(text, "BEGIN PROG LOAD LOG"))
		keep_verdict(text);
	else if (!warning[0])
		keep_warning(text);
	free(text);
	return 0;
}

void catch_libbpf_warnings(void)
{
	libbpf_set_print(on_libbpf_print);
}

const char *libbpf_reason(int error)
{
	static char reason[2 * MESSAGE_BYTES];

	snprintf(reason, sizeof(reason), "%s%s", warning[0] ? warning : strerror(abs(error)), verdict);
	return reason;
}
