// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data.h"
#include "message.h"

static void *zeroed(uint64_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size);

	if (!memory)
		give_up(EXIT_IO, "no memory for %llu x %zu bytes", (unsigned long long)count, size);
	return memory;
}

/* Mapped rather than read: on XFS a read keeps the file's writers waiting, which would be the target. */
static const unsigned char *map(const char *path, int fd, uint64_t bytes)
{
	void *content;

	if (!bytes)
		return NULL;
	content = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (content == MAP_FAILED)
		give_up(EXIT_IO, "%s: cannot be mapped: %s", path, strerror(errno));
	/* Single blocks are wanted, not those around, and the looks at them are not to keep them in the page cache. */
	madvise(content, bytes, MADV_RANDOM);
	return content;
}

static void open_one(struct data_file *file, const char *path, uint64_t block_bytes)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;

	if (fd < 0 || fstat(fd, &status))
		give_up(EXIT_IO, "%s: %s", path, strerror(errno));
	memcpy(file->name, name, strnlen(name, sizeof(file->name) - 1));
	file->inode = status.st_ino;
	file->bytes = status.st_size;
	file->content = map(path, fd, file->bytes);
	for (int op = 0; op < RW_OPS; op++)
		file->seen[op] = zeroed(file->bytes / block_bytes / 64 + 1, sizeof(uint64_t));
	close(fd);
}

void data_open(struct data *data, const struct options *options)
{
	data->dev = options->dev;
	data->block_bytes = options->block_bytes;
	data->files = options->data_files;
	data->file = zeroed(data->files, sizeof(*data->file));
	for (uint64_t i = 0; i < data->files; i++)
		open_one(&data->file[i], options->data[i], data->block_bytes);
}

struct data_file *data_find(const struct data *data, uint64_t inode, uint32_t dev)
{
	if (dev == data->dev)
		for (uint64_t i = 0; i < data->files; i++)
			if (data->file[i].inode == inode)
				return &data->file[i];
	return NULL;
}

bool data_has_name(const struct data *data, const char *name)
{
	for (uint64_t i = 0; i < data->files; i++)
		if (!memcmp(data->file[i].name, name, sizeof(data->file[i].name)))
			return true;
	return false;
}

bool data_mark(const struct data *data, struct data_file *file, uint32_t op, uint64_t offset)
{
	uint64_t block = offset / data->block_bytes;
	uint64_t *word = &file->seen[op][block / 64];
	uint64_t bit = 1ULL << block % 64;
	bool before = *word & bit;

	*word |= bit;
	return before;
}
