// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "output.h"

int output_open(struct output *output, const char *path)
{
	output->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	return output->fd < 0 ? -errno : 0;
}

/* Returns how many bytes were written; fewer than size if there was an error. */
static size_t write_all(struct output *output, const char *data, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = write(output->fd, data + done, size - done);

		if (n >= 0) {
			done += n;
		} else if (errno != EINTR) {
			output->error = errno;
			break;
		}
	}
	return done;
}

/* Of what was written, the whole records are saved; a part of one is cut off again. */
static void account(struct output *output, size_t written)
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
	output->bytes += whole;
	/* A device or a pipe cannot be cut, and need not be. */
	if (output->error && ftruncate(output->fd, output->bytes))
		return;
}

void output_flush(struct output *output)
{
	if (output->used)
		account(output, write_all(output, output->buffer, output->used));
	output->used = 0;
	output->records = 0;
}

char *output_begin(struct output *output, size_t size)
{
	if (output->used + size > OUTPUT_BYTES || output->records == OUTPUT_RECORDS)
		output_flush(output);
	return output->buffer + output->used;
}

void output_end(struct output *output, size_t size, uint64_t events)
{
	if (output->error) {
		output->lost += events;
		return;
	}
	output->used += size;
	output->record[output->records].end = output->used;
	output->record[output->records].events = events;
	output->records++;
}

void output_close(struct output *output)
{
	if (close(output->fd) && !output->error)
		output->error = errno;
}
