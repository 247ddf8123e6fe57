/* SPDX-License-Identifier: Apache-2.0 */
/* The output file behind one buffer, which knows at any time how many events are wholly in the file. */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <stddef.h>
#include <stdint.h>

#define OUTPUT_BYTES 65536
#define OUTPUT_RECORDS 4096 /* more than fit: no tool writes so many so short */

struct output {
	int fd;
	int error; /* errno of what went wrong; nothing is written after that */
	uint64_t saved; /* events wholly in the file */
	uint64_t lost; /* events given, but not in the file because of the error */
	uint64_t bytes; /* size of the records in the file */
	size_t used;
	size_t records;
	struct {
		uint64_t events;
		size_t end;
	} record[OUTPUT_RECORDS];
	char buffer[OUTPUT_BYTES + 1]; /* text may be written one byte too far: see put_payload() */
};

/* All but open return nothing: look at output->error. */
int output_open(struct output *output, const char *path);

/* Room for the next record of size bytes, which is at most OUTPUT_BYTES; then its end, and how many events it stands
 * for. */
char *output_begin(struct output *output, size_t size);
void output_end(struct output *output, size_t size, uint64_t events);

void output_flush(struct output *output);
void output_close(struct output *output);

#endif
