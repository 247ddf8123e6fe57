// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "stop.h"
#include "summary.h"

#define RESERVED_BYTES 32768
#define NO_RECURSION "kernels before 6.7 do not count how often they skip tracepoint and kprobe programs"
#define NO_MISSED "kernels before 6.7 do not tell how often they miss a kprobe"

static void release(struct summary *summary)
{
	remove_when_killed(NULL);
	free(summary->temporary);
}

int summary_create(struct summary *summary, const char *path)
{
	summary->path = path;
	if (asprintf(&summary->temporary, "%s.tmp", path) < 0)
		return -ENOMEM;
	remove_when_killed(summary->temporary);
	summary->fd = open(summary->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (summary->fd < 0) {
		int err = -errno;

		release(summary);
		return err;
	}
	/* Not every file system can; the summary then takes its chance. */
	(void)fallocate(summary->fd, FALLOC_FL_KEEP_SIZE, 0, RESERVED_BYTES);
	return 0;
}

void summary_discard(struct summary *summary)
{
	unlink(summary->temporary);
	close(summary->fd);
	release(summary);
}

static void put_string(FILE *file, const char *string)
{
	fputc('"', file);
	for (; *string; string++) {
		if (*string == '"' || *string == '\\')
			fputc('\\', file);
		fputc(*string >= ' ' && *string <= '~' ? *string : '?', file);
	}
	fputc('"', file);
}

static void put_intercepted(FILE *file, const struct run *run)
{
	const char *separator = "";

	fprintf(file, "  \"intercepted\": {");
	for (int i = 0; i < KINDS && run->intercepted[i].kind; i++) {
		fprintf(file, "%s\"%s\": %" PRIu64, separator, run->intercepted[i].kind, run->intercepted[i].events);
		separator = ", ";
	}
	fprintf(file, "},\n");
}

static void put_count_or_null(FILE *file, uint64_t count, bool unknown)
{
	if (unknown)
		fprintf(file, "null");
	else
		fprintf(file, "%" PRIu64, count);
}

static void put_lost(FILE *file, const struct run *run)
{
	fprintf(file, "  \"lost\": {\"ring_full\": %" PRIu64 ", \"map_full\": %" PRIu64, run->ring_full, run->map_full);
	fprintf(file, ", \"recursion\": ");
	put_count_or_null(file, run->recursion, run->recursion_unknown);
	fprintf(file, ", \"missed\": ");
	put_count_or_null(file, run->missed, run->missed_unknown);
	fprintf(file, ", \"output_error\": %" PRIu64 "},\n", run->output.lost);
	fprintf(file, "  \"unavailable\": {");
	if (run->recursion_unknown)
		fprintf(file, "\"recursion\": \"" NO_RECURSION "\"%s", run->missed_unknown ? ", " : "");
	if (run->missed_unknown)
		fprintf(file, "\"missed\": \"" NO_MISSED "\"");
	fprintf(file, "},\n");
}

static void put_syscalls(FILE *file, const struct run *run)
{
	if (run->options.tool != SYSCOUNT) {
		fprintf(file, "  \"syscalls\": null,\n");
		return;
	}
	fprintf(file, "  \"syscalls\": {");
	for (size_t i = 0; i < run->syscall_count; i++)
		fprintf(file, "%s\"%" PRIu64 "\": %" PRIu64, i ? ", " : "", run->syscalls[i].number,
			run->syscalls[i].count);
	fprintf(file, "},\n");
}

static void put_times(FILE *file, const struct run *run)
{
	fprintf(file, "  \"times_ns\": {\"start\": %" PRIu64 ", \"ready\": ", run->start_ns);
	if (run->ready_ns)
		fprintf(file, "%" PRIu64, run->ready_ns);
	else
		fprintf(file, "null");
	fprintf(file, ", \"stop\": %" PRIu64 ", \"drained\": %" PRIu64 "},\n", run->stop_ns, run->drained_ns);
}

static void put_summary(FILE *file, const struct run *run)
{
	fprintf(file,
		"{\n  \"contract\": 2,\n  \"setup\": \"" SETUP "\", \"tool\": \"%s\", \"attach\": \"%s\", "
		"\"format\": \"%s\",\n",
		tool_names[run->options.tool], attach_names[run->options.attach], format_names[run->options.format]);
	put_intercepted(file, run);
	fprintf(file, "  \"saved\": %" PRIu64 ",\n", run->output.saved);
	put_lost(file, run);
	put_syscalls(file, run);
	fprintf(file, "  \"bytes\": %" PRIu64 ",\n", run->file.bytes);
	fprintf(file, "  \"versions\": {\"libbpf\": \"%s\"},\n", libbpf_version_string() + 1); /* without its "v" */
	put_times(file, run);
	fprintf(file, "  \"error\": ");
	if (run->error[0])
		put_string(file, run->error);
	else
		fprintf(file, "null");
	fprintf(file, "\n}\n");
}

int summary_write(struct summary *summary, const struct run *run)
{
	FILE *file = fdopen(summary->fd, "w");
	int err = 0;

	if (!file) {
		err = -errno;
		summary_discard(summary);
		return err;
	}
	put_summary(file, run);
	if (fflush(file) || ferror(file) || rename(summary->temporary, summary->path)) {
		err = -errno;
		unlink(summary->temporary);
	}
	fclose(file);
	release(summary);
	return err;
}
