/* SPDX-License-Identifier: Apache-2.0 */
/* The output file, and the buffers before it, one of each consumer: it is known at any time how many events are wholly
 * in the file. */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

/* No record is larger, of whichever tool. */
#define RECORD_MOST 65536
/* Hardly one is smaller: as many of these as fit into a buffer are known apart. */
#define RECORD_LEAST 16

struct output_file {
	pthread_mutex_t lock; /* of all that follows, but that anyone may look for an error */
	int fd;
	_Atomic int error; /* errno of what went wrong; nothing is written after that */
	uint64_t bytes; /* size of the records in the file */
};

struct output {
	struct output_file *file;
	uint64_t saved; /* events wholly in the file */
	uint64_t lost; /* events given, but not in the file because of an error */
	size_t limit; /* bytes that are collected before they are written */
	size_t used;
	size_t records;
	struct output_record {
		uint64_t events;
		size_t end;
	} * record;
	char *buffer;
};

/* Each returns 0 or a negative errno. */
int output_open(struct output_file *file, const char *path);
int output_create(struct output *output, struct output_file *file, size_t limit);

/* The others return nothing: look at file->error. */

/* Room for the next record of size bytes, which is at most RECORD_MOST; then its end, and how many events it stands
 * for. One that is larger than the limit is written by itself. */
char *output_begin(struct output *output, size_t size);
void output_end(struct output *output, size_t size, uint64_t events);

void output_flush(struct output *output);
void output_free(struct output *output);
void output_close(struct output_file *file);

#endif
