// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "message.h"
#include "output.h"

#define WINDOW_BYTES (4ULL << 20)

/* Mapped pages end where the file does: who cuts it meanwhile is not to make us crash. */
static void on_cut(int signal)
{
	static const char said[] = "audit: the output was cut, or the disk failed, while it was read\n";

	ssize_t written = write(STDERR_FILENO, said, sizeof(said) - 1);

	(void)signal, (void)written;
	_exit(EXIT_IO);
}

bool output_open(struct output *output, const char *path)
{
	output->fd = open(path, O_RDWR | O_CLOEXEC);
	if (output->fd < 0 && errno != ENOENT)
		give_up(EXIT_IO, "%s: %s", path, strerror(errno));
	if (output->fd < 0)
		return false;
	signal(SIGBUS, on_cut);
	output_look(output);
	return true;
}

static struct stat status(const struct output *output)
{
	struct stat status;

	if (fstat(output->fd, &status))
		give_up(EXIT_IO, "the output's size: %s", strerror(errno));
	if (!S_ISREG(status.st_mode))
		give_up(EXIT_IO, "the output is no regular file");
	return status;
}

void output_look(struct output *output)
{
	output->bytes = status(output).st_size;
}

/* Mapped rather than read: a read copies, which takes longer than the checks do; and on XFS it keeps the writer
 * waiting. */
static void move_window(struct output *output, uint64_t offset)
{
	if (output->window)
		munmap(output->window, WINDOW_BYTES);
	output->window_at = offset & ~(uint64_t)(sysconf(_SC_PAGESIZE) - 1);
	output->window = mmap(NULL, WINDOW_BYTES, PROT_READ, MAP_SHARED, output->fd, output->window_at);
	if (output->window == MAP_FAILED)
		give_up(EXIT_IO, "the output cannot be mapped: %s", strerror(errno));
	/* Once is enough: the page cache is not to keep them because of us. */
	madvise(output->window, WINDOW_BYTES, MADV_SEQUENTIAL);
}

const char *output_at(struct output *output, uint64_t offset, size_t wanted, size_t *available)
{
	uint64_t end;

	if (!output->window || offset < output->window_at || offset + wanted > output->window_at + WINDOW_BYTES)
		move_window(output, offset);
	end = output->window_at + WINDOW_BYTES;
	*available = (end < output->bytes ? end : output->bytes) - offset;
	return output->window + (offset - output->window_at);
}

uint64_t output_allocated(const struct output *output)
{
	return (uint64_t)status(output).st_blocks * 512;
}

void output_release(const struct output *output, uint64_t offset, uint64_t bytes)
{
	/* Whatever is on its way to the disk arrives first, for that would be waited for while nobody can write. What
	 * is not on its way yet need not go there at all. */
	sync_file_range(output->fd, offset, bytes, SYNC_FILE_RANGE_WAIT_BEFORE);
	if (fallocate(output->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, bytes))
		give_up(EXIT_IO, "the output's blocks cannot be released: %s", strerror(errno));
}
