// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "output.h"

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

int output_open(struct output_file *file, const char *path)
{
	pthread_mutex_init(&file->lock, NULL);
	file->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	return file->fd < 0 ? -errno : 0;
}

int output_create(struct output *output, struct output_file *file, size_t limit)
{
	*output = (struct output){.file = file, .limit = limit};
	/* Text may be written one byte too far: see put_payload(). What is never used takes no memory. */
	output->buffer = malloc(larger(limit, RECORD_MOST) + 1);
	output->record = malloc(limit / RECORD_LEAST * sizeof(*output->record));
	return output->buffer && output->record ? 0 : -ENOMEM;
}

/* Returns how many bytes were written; fewer than size if there was an error. */
static size_t write_all(struct output_file *file, const char *data, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = write(file->fd, data + done, size - done);

		if (n >= 0) {
			done += n;
		} else if (errno != EINTR) {
			file->error = errno;
			break;
		}
	}
	return done;
}

/* Of what was written, the whole records are saved. Returns their size. */
static size_t account(struct output *output, size_t written)
{
	size_t whole = 0;

	for (size_t i = 0; i < output->records; i++) {
		if (output->record[i].end <= written) {
			whole = output->record[i].end;
			output->saved += output->record[i].events;
		} else {
			output->lost += output->record[i].events;
		}
	}
	return whole;
}

void output_flush(struct output *output)
{
	struct output_file *file = output->file;

	if (!output->used)
		return;
	pthread_mutex_lock(&file->lock);
	if (file->error) {
		account(output, 0);
	} else {
		file->bytes += account(output, write_all(file, output->buffer, output->used));
		/* A part of a record is cut off again. A device or a pipe cannot be cut, and need not be. */
		if (file->error && ftruncate(file->fd, file->bytes))
			errno = 0;
	}
	pthread_mutex_unlock(&file->lock);
	output->used = 0;
	output->records = 0;
}

/* [snippet output_bytes] */
char *output_begin(struct output *output, size_t size)
{
	if (output->used + size > output->limit || output->records == output->limit / RECORD_LEAST)
		output_flush(output);
	return output->buffer + output->used;
}
/* [end output_bytes] */

void output_end(struct output *output, size_t size, uint64_t events)
{
	if (output->file->error) {
		output->lost += events;
		return;
	}
	output->used += size;
	output->record[output->records].end = output->used;
	output->record[output->records].events = events;
	output->records++;
}

void output_free(struct output *output)
{
	free(output->record);
	free(output->buffer);
}

void output_close(struct output_file *file)
{
	if (close(file->fd) && !file->error)
		file->error = errno;
}
