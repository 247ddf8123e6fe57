// SPDX-License-Identifier: Apache-2.0
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "options.h"
#include "rw_knobs.h"

const char *const tool_names[] = {"syscount", "rw-tracer", "rw-tracer-all", "fs-profile", NULL};
const char *const attach_names[] = {"tracepoint", "kprobe", "fentry", NULL};
const char *const format_names[] = {"text", "binary", NULL};

static bool choose(const char *value, const char *const *names, int *chosen)
{
	for (int i = 0; names[i]; i++) {
		if (!strcmp(value, names[i])) {
			*chosen = i;
			return true;
		}
	}
	return false;
}

/* Decimal digits and nothing else. */
static bool number(const char *value, uint32_t min, uint32_t max, uint32_t *result)
{
	size_t digits = strspn(value, "0123456789");
	unsigned long n;

	if (!digits || digits > 10 || value[digits])
		return false;
	n = strtoul(value, NULL, 10);
	if (n < min || n > max)
		return false;
	*result = n;
	return true;
}

static bool path(const char *value, const char **result)
{
	*result = value;
	return *value;
}

static bool set_tool(const char *value, struct options *o)
{
	return choose(value, tool_names, &o->tool);
}

static bool set_attach(const char *value, struct options *o)
{
	return choose(value, attach_names, &o->attach);
}

static bool set_target_comm(const char *value, struct options *o)
{
	size_t length = strlen(value);

	if (length < 1 || length >= sizeof(o->target_comm))
		return false;
	memcpy(o->target_comm, value, length);
	return true;
}

static bool set_ringbuf_bytes(const char *value, struct options *o)
{
	return number(value, 4096, 1U << 30, &o->ringbuf_bytes) && !(o->ringbuf_bytes & (o->ringbuf_bytes - 1));
}

static bool set_poll_ms(const char *value, struct options *o)
{
	return number(value, 1, 60000, &o->poll_ms);
}

static bool set_payload_bytes(const char *value, struct options *o)
{
	return number(value, 1, RW_PAYLOAD_MOST, &o->payload_bytes);
}

static bool set_format(const char *value, struct options *o)
{
	return choose(value, format_names, &o->format);
}

static bool set_output(const char *value, struct options *o)
{
	return path(value, &o->output);
}

static bool set_summary(const char *value, struct options *o)
{
	return path(value, &o->summary);
}

static bool set_wakeup(const char *value, struct options *o)
{
	static const char *const names[] = {"adaptive", "never", "watermark", "poll", NULL};
	static const char mark[] = "watermark:";

	if (strncmp(value, mark, strlen(mark)))
		return choose(value, names, &o->wakeup) && o->wakeup != WATERMARK;
	o->wakeup = WATERMARK;
	return number(value + strlen(mark), 1, (1U << 30) - 1, &o->watermark);
}

static bool set_rings(const char *value, struct options *o)
{
	if (strcmp(value, "cpu"))
		return number(value, 1, 64, &o->rings);
	o->rings = RING_OF_CPU;
	return true;
}

static bool set_consumers(const char *value, struct options *o)
{
	static const char *const names[] = {"one", "ring", NULL};

	return choose(value, names, &o->consumers);
}

static bool set_output_bytes(const char *value, struct options *o)
{
	return number(value, 4096, 1U << 26, &o->output_bytes);
}

static bool set_records(const char *value, struct options *o)
{
	static const char *const names[] = {"fixed", "variable", NULL};

	return choose(value, names, &o->records);
}

static bool set_buffer(const char *value, struct options *o)
{
	static const char *const names[] = {"ring", "perf", NULL};

	return choose(value, names, &o->buffer);
}

static bool set_epoll(const char *value, struct options *o)
{
	static const char *const names[] = {"level", "edge", NULL};

	return choose(value, names, &o->epoll);
}

static const struct rule {
	const char *name;
	const char *supported;
	bool (*set)(const char *value, struct options *options);
	const char *usual; /* the value of what may be left out */
} rules[] = {
	{"--tool", "syscount, rw-tracer, rw-tracer-all, fs-profile", set_tool, NULL},
	{"--attach", "tracepoint, kprobe, fentry", set_attach, NULL},
	{"--target-comm", "1 to 15 bytes", set_target_comm, NULL},
	{"--ringbuf-bytes", "a power of two, 4096 to 1073741824", set_ringbuf_bytes, NULL},
	{"--poll-ms", "1 to 60000", set_poll_ms, NULL},
	{"--payload-bytes", "1 to 16384", set_payload_bytes, NULL},
	{"--format", "text, binary", set_format, NULL},
	{"--output", "the path of a file", set_output, NULL},
	{"--summary", "the path of a file", set_summary, NULL},
	{"--wakeup", "adaptive, never, watermark:BYTES (1 to ringbuf-bytes - 1), poll", set_wakeup, "adaptive"},
	{"--rings", "1 to 64, cpu", set_rings, "1"},
	{"--consumers", "one, ring", set_consumers, "one"},
	{"--output-bytes", "4096 to 67108864", set_output_bytes, "65536"},
	{"--records", "fixed, variable", set_records, "fixed"},
	{"--buffer", "ring, perf", set_buffer, "ring"},
	{"--epoll", "level, edge", set_epoll, "level"},
};

#define RULES (sizeof(rules) / sizeof(rules[0]))
#define ALL_NAMES                                                                                                      \
	"--tool, --attach, --target-comm, --ringbuf-bytes, --poll-ms, --payload-bytes, --format, --output, "           \
	"--summary, --wakeup, --rings, --consumers, --output-bytes, --records, --buffer, --epoll"

static _Noreturn void refuse(const char *name, const char *value, const char *fault, const char *supported)
{
	say("%s '%s' %s; supported: %s", name, value, fault, supported);
	exit(2);
}

static size_t find_rule(const char *name, const char *value)
{
	for (size_t i = 0; i < RULES; i++)
		if (!strcmp(name, rules[i].name))
			return i;
	refuse(name, value, "is an unknown option", ALL_NAMES);
}

/* Whether it is set to what perf buffers have not. */
static bool is_of_rings(const struct options *options, const struct rule *rule)
{
	return (rule->set == set_rings && options->rings != 1) ||
	       (rule->set == set_records && options->records != FIXED) ||
	       (rule->set == set_epoll && options->epoll != LEVEL);
}

static bool wakes_nobody(const struct options *options)
{
	return options->wakeup == NEVER || options->wakeup == POLL;
}

static void refuse_combinations(const struct options *options, const char *const given[])
{
	const char *tool = tool_names[options->tool];
	char fault[64];

	if (options->tool == SYSCOUNT && options->attach != TRACEPOINT)
		refuse("--attach", attach_names[options->attach], "is not supported by syscount", "tracepoint");
	if (options->tool == FS_PROFILE && options->format != TEXT)
		refuse("--format", format_names[options->format], "is not supported by fs-profile", "text");
	snprintf(fault, sizeof(fault), "is not supported by %s", tool);
	for (size_t r = 0; r < RULES; r++) {
		bool useless = options->tool == SYSCOUNT || options->tool == FS_PROFILE ||
			       (options->tool == RW_TRACER && rules[r].set == set_records);

		if (rules[r].usual && useless && strcmp(given[r], rules[r].usual))
			refuse(rules[r].name, given[r], fault, rules[r].usual);
		if (rules[r].set == set_wakeup && options->watermark >= options->ringbuf_bytes)
			refuse(rules[r].name, given[r], "is more than the ring holds", rules[r].supported);
		if (rules[r].set == set_consumers && options->consumers == RING && options->rings == 1)
			refuse(rules[r].name, given[r], "is not supported with one ring", "one");
		if (options->buffer == PERF_BUFFERS && is_of_rings(options, &rules[r]))
			refuse(rules[r].name, given[r], "is not supported with --buffer perf", rules[r].usual);
		if (rules[r].set == set_epoll && options->epoll == EDGE && wakes_nobody(options))
			refuse(rules[r].name, given[r], "is not supported where nobody is woken", "level");
	}
}

void parse_options(int argc, char **argv, struct options *options)
{
	const char *given[RULES] = {NULL};

	for (int i = 1; i < argc; i += 2) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";
		size_t r = find_rule(argv[i], value);

		if (i + 1 == argc)
			refuse(argv[i], value, "lacks its value", rules[r].supported);
		if (given[r])
			refuse(argv[i], value, "is given twice", "each option once");
		given[r] = value;
	}
	for (size_t r = 0; r < RULES; r++) {
		if (!given[r])
			given[r] = rules[r].usual;
		if (!given[r])
			refuse(rules[r].name, "", "is missing", rules[r].supported);
		if (!rules[r].set(given[r], options))
			refuse(rules[r].name, given[r], "is not supported", rules[r].supported);
	}
	refuse_combinations(options, given);
}
