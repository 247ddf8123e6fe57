// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "options.h"

/* A line of text output is 50 KB at most, and the pieces that are read, and released, are of some MiB. */
#define DISK_BYTES_MIN (32ULL << 20)

#define WANTED                                                                                                         \
	"wanted: --output FILE --format text|binary --payload-bytes N --comm COMM --block-bytes N --dev N --data "     \
	"FILE... "                                                                                                     \
	"--since-ns N --compare-op read|write --compare-every N [--profile] [--notices] [--follow --disk-bytes N]"

enum option_id {
	OUTPUT = 1,
	FORMAT,
	PAYLOAD,
	COMM,
	BLOCK,
	DEV,
	DATA,
	SINCE,
	COMPARE_OP,
	EVERY,
	REQUIRED,
	PROFILE,
	NOTICES,
	FOLLOW,
	DISK
};

static const struct option long_options[] = {
	{"output", required_argument, NULL, OUTPUT},
	{"format", required_argument, NULL, FORMAT},
	{"payload-bytes", required_argument, NULL, PAYLOAD},
	{"comm", required_argument, NULL, COMM},
	{"block-bytes", required_argument, NULL, BLOCK},
	{"dev", required_argument, NULL, DEV},
	{"data", required_argument, NULL, DATA},
	{"since-ns", required_argument, NULL, SINCE},
	{"compare-op", required_argument, NULL, COMPARE_OP},
	{"compare-every", required_argument, NULL, EVERY},
	{"profile", no_argument, NULL, PROFILE},
	{"notices", no_argument, NULL, NOTICES},
	{"follow", no_argument, NULL, FOLLOW},
	{"disk-bytes", required_argument, NULL, DISK},
	{0},
};

static bool number(const char *value, uint64_t least, uint64_t most, uint64_t *result)
{
	size_t digits = strspn(value, "0123456789");

	if (!digits || value[digits])
		return false;
	errno = 0;
	*result = strtoull(value, NULL, 10);
	return !errno && *result >= least && *result <= most;
}

static bool one_of(const char *value, const char *first, const char *second, uint64_t *result)
{
	*result = !strcmp(value, second);
	return *result || !strcmp(value, first);
}

static bool set_comm(const char *value, struct options *o)
{
	size_t length = strlen(value);

	if (length < 1 || length >= sizeof(o->comm))
		return false;
	memcpy(o->comm, value, length);
	return true;
}

static bool set_data(const char *value, struct options *o)
{
	if (o->data_files == DATA_FILES_MAX)
		return false;
	o->data[o->data_files++] = value;
	return true;
}

static bool set(enum option_id id, const char *value, struct options *o)
{
	switch (id) {
	case OUTPUT:
		o->output = value;
		return *value;
	case FORMAT:
		return one_of(value, "text", "binary", &o->format);
	case PAYLOAD:
		return number(value, 0, PAYLOAD_BYTES_MAX, &o->payload_bytes);
	case COMM:
		return set_comm(value, o);
	case BLOCK:
		return number(value, 1, 1U << 30, &o->block_bytes);
	case DEV:
		return number(value, 0, UINT32_MAX, &o->dev);
	case DATA:
		return set_data(value, o);
	case SINCE:
		return number(value, 0, UINT64_MAX, &o->since_ns);
	case COMPARE_OP:
		return one_of(value, "read", "write", &o->compare_op);
	case EVERY:
		return number(value, 0, UINT64_MAX, &o->compare_every);
	case DISK:
		return number(value, DISK_BYTES_MIN, UINT64_MAX / 2, &o->disk_bytes);
	case PROFILE:
		return o->profile = true;
	case NOTICES:
		return o->notices = true;
	case FOLLOW:
		return o->follow = true;
	case REQUIRED:
		break;
	}
	return false;
}

void parse_options(int argc, char **argv, struct options *options)
{
	bool given[REQUIRED] = {false};
	int id, place = 0;

	opterr = 0;
	while ((id = getopt_long(argc, argv, "", long_options, &place)) != -1) {
		if (id == '?' || id == ':')
			give_up(EXIT_USAGE, "'%s' is unknown or lacks its value; %s", argv[optind - 1], WANTED);
		if (!set(id, optarg, options))
			give_up(EXIT_USAGE, "--%s '%s' is not supported; %s", long_options[place].name, optarg, WANTED);
		if (id < REQUIRED)
			given[id] = true;
	}
	if (optind < argc)
		give_up(EXIT_USAGE, "'%s' is no option; %s", argv[optind], WANTED);
	for (id = 1; id < REQUIRED; id++)
		if (!given[id])
			give_up(EXIT_USAGE, "--%s is missing; %s", long_options[id - 1].name, WANTED);
	if (options->follow != !!options->disk_bytes)
		give_up(EXIT_USAGE, "--follow and --disk-bytes go together; %s", WANTED);
}
