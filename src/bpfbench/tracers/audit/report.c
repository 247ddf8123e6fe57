// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <stdio.h>

#include "report.h"

static void put(const char *name, uint64_t value)
{
	printf("\"%s\": %" PRIu64 ", ", name, value);
}

/* What cannot be watched, and times of nothing, are null. */
static void put_if(bool known, const char *name, uint64_t value)
{
	if (known)
		put(name, value);
	else
		printf("\"%s\": null, ", name);
}

static void put_string(const char *string)
{
	putchar('"');
	for (const unsigned char *at = (const unsigned char *)string; *at; at++) {
		if (*at < ' ' || *at > '~' || *at == '"' || *at == '\\')
			printf("\\u%04x", *at);
		else
			putchar(*at);
	}
	putchar('"');
}

static void put_silences(const struct silence *silence)
{
	const char *separator = "";

	printf("\"silences\": [");
	for (int i = 0; i < SILENCES && silence->longest[i].end_ns; i++) {
		printf("%s{\"begin_ns\": %" PRIu64 ", \"end_ns\": %" PRIu64 "}", separator,
			silence->longest[i].begin_ns, silence->longest[i].end_ns);
		separator = ", ";
	}
	printf("], ");
}

static void put_defects(const struct defects *defects)
{
	const char *separator = "";

	printf("\"defects\": {");
	for (int kind = 0; kind < DEFECTS; kind++) {
		const struct found *found = &defects->found[kind];

		if (!found->count)
			continue;
		printf("%s\"%s\": {\"count\": %" PRIu64 ", \"record\": %" PRIu64 ", \"example\": ", separator,
			defect_names[kind], found->count, found->record);
		put_string(found->example);
		putchar('}');
		separator = ", ";
	}
	printf("}");
}

static void put_profile(const struct profile *profile)
{
	printf("\"profile\": {");
	put("files", profile->files);
	put("other", profile->other[RW_READ] + profile->other[RW_WRITE]);
	put("slow_least", profile->slow_least);
	put("slow_most", profile->slow_most);
	printf("\"slow\": %" PRIu64 "}, ", profile->slow);
}

void report(const struct scan *scan, uint64_t peak_bytes, uint64_t released_bytes)
{
	const struct checks *checks = &scan->checks;
	bool timed = checks->silence.first_ns, followed = checks->options->follow;

	putchar('{');
	put("output_bytes", scan->output.bytes);
	put("records", checks->records);
	put("record_bytes", scan->record_bytes);
	put("notices", scan->notices);
	put("data_reads", checks->data_records[RW_READ]);
	put("data_writes", checks->data_records[RW_WRITE]);
	put("other_records", checks->other_records);
	put("uncopied", checks->uncopied);
	put("comparable", checks->comparable);
	put("compared", checks->compared);
	put("compare_every", checks->options->compare_every);
	put_if(timed, "first_ns", checks->silence.first_ns);
	put_if(timed, "last_ns", checks->silence.last_ns);
	put_if(followed, "peak_bytes", peak_bytes);
	put_if(followed, "released_bytes", released_bytes);
	put_silences(&checks->silence);
	if (checks->options->profile)
		put_profile(&scan->profile);
	put_defects(&checks->defects);
	printf("}\n");
}
