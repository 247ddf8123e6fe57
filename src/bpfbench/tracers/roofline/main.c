// SPDX-License-Identifier: Apache-2.0
/* What a machine allows at all: its disk, memory, ring, wake-ups and hooks, each by itself. docs/limits.md has the
 * method and its sources. */
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "roofline.h"

static const struct measurement {
	const char *name;
	int words;
	void (*measure)(char **words);
} measurements[] = {
	{"sink", 4, measure_sink},
	{"copy", 2, measure_copy},
	{"ring", 6, measure_ring},
	{"least", 7, measure_least},
	{"wake", 1, measure_wake},
	{"hook", 2, measure_hook},
};

void fail(const char *format, ...)
{
	va_list values;

	va_start(values, format);
	vfprintf(stderr, format, values);
	va_end(values);
	fputc('\n', stderr);
	exit(1);
}

void fail_with(const char *what, int err)
{
	fail("%s: %s", what, strerror(abs(err)));
}

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

uint64_t number(const char *text)
{
	char *end;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *end)
		fail("%s is no number", text);
	return value;
}

int allowed_cpu(int place)
{
	cpu_set_t allowed;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		fail_with("sched_getaffinity", errno);
	place %= CPU_COUNT(&allowed);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &allowed) && !place--)
			return cpu;
	fail("there is no CPU");
}

void run_on(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		fail_with("sched_setaffinity", errno);
}

int by_value(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(measurements) / sizeof(measurements[0]); i++)
		if (!strcmp(argv[1], measurements[i].name) && argc - 2 == measurements[i].words) {
			measurements[i].measure(argv + 2);
			return 0;
		}
	fail("usage: roofline sink|copy|ring|least|wake|hook WORDS, as roofline.h has them");
}
