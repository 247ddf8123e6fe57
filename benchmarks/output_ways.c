// SPDX-License-Identifier: Apache-2.0
/* How long it takes to put events of 156 bytes, which lie in slots as a ring has them, into a new file, way by way.
 * Each is tried after 256 MiB were written and deleted, in an order that is random in each round (docs/limits.md says
 * why).
 *
 * usage: cc -O2 benchmarks/output_ways.c -o /tmp/ways && /tmp/ways FILE ROUNDS
 * Prints a line for each: way, bytes of a call, ns for an event. */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define EVENT 156
#define SLOT 168
#define HEADER 8
#define RING (4 << 20)
#define OUTPUT (32 << 20)
#define EVENTS (OUTPUT / EVENT)
#define BEFORE (256 << 20)
#define BUFFER_MOST (512 << 10)

static char ring[RING], buffer[BUFFER_MOST + EVENT];

static const char *event(size_t number)
{
	return ring + number % (RING / SLOT) * SLOT + HEADER;
}

static void put(int fd, const void *data, size_t size)
{
	if (write(fd, data, size) != (ssize_t)size)
		err(1, "write");
}

/* As tracers do: whole events, as many as fit. */
static void whole_events(int fd, size_t bytes)
{
	size_t used = 0;

	for (size_t i = 0; i < EVENTS; i++) {
		if (used + EVENT > bytes) {
			put(fd, buffer, used);
			used = 0;
		}
		memcpy(buffer + used, event(i), EVENT);
		used += EVENT;
	}
}

/* An event that does not fit is cut, so that each write is of whole pages. */
static void whole_pages(int fd, size_t bytes)
{
	size_t used = 0;

	for (size_t i = 0; i < EVENTS; i++) {
		memcpy(buffer + used, event(i), EVENT);
		used += EVENT;
		if (used >= bytes) {
			put(fd, buffer, bytes);
			used -= bytes;
			memcpy(buffer, buffer + bytes, used);
		}
	}
}

static void without_copy(int fd, size_t bytes)
{
	struct iovec parts[IOV_MAX];
	size_t count = 0, most = bytes / EVENT;

	for (size_t i = 0; i < EVENTS; i++) {
		parts[count++] = (struct iovec){(void *)event(i), EVENT};
		if (count == most) {
			if (writev(fd, parts, count) != (ssize_t)(count * EVENT))
				err(1, "writev");
			count = 0;
		}
	}
}

static void mapped(int fd, size_t bytes)
{
	char *to = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (to == MAP_FAILED)
		err(1, "mmap");
	for (size_t i = 0; i < EVENTS; i++)
		memcpy(to + i * EVENT, event(i), EVENT);
	munmap(to, bytes);
}

static const struct way {
	const char *name;
	void (*put_all)(int fd, size_t bytes);
	size_t bytes;
	int allocated; /* blocks are, beforehand, which is not timed */
} ways[] = {
	{"write, whole events", whole_events, 64 << 10, 0},
	{"write, whole pages", whole_pages, 64 << 10, 0},
	{"write, whole events", whole_events, 512 << 10, 0},
	{"write, whole pages", whole_pages, 512 << 10, 0},
	{"write, whole pages, after fallocate", whole_pages, 512 << 10, 1},
	{"writev out of the ring", without_copy, 64 << 10, 0},
	{"writev out of the ring", without_copy, EVENT *IOV_MAX, 0},
	{"mmap", mapped, OUTPUT, 1},
};

#define WAYS (sizeof(ways) / sizeof(ways[0]))

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

static int new_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

static void free_memory(const char *path)
{
	int fd = new_file(path);

	for (size_t done = 0; done < BEFORE; done += BUFFER_MOST)
		put(fd, buffer, BUFFER_MOST);
	close(fd);
	unlink(path);
}

static void try(const struct way *way, const char *path)
{
	uint64_t begin_ns;
	int fd;

	free_memory(path);
	fd = new_file(path);
	if (way->allocated && (errno = posix_fallocate(fd, 0, OUTPUT)))
		err(1, "posix_fallocate");
	begin_ns = now_ns();
	way->put_all(fd, way->bytes);
	printf("%s\t%zu\t%.1f\n", way->name, way->bytes, (double)(now_ns() - begin_ns) / EVENTS);
	fflush(stdout);
	close(fd);
	unlink(path);
}

int main(int argc, char **argv)
{
	size_t order[WAYS];

	if (argc != 3)
		errx(2, "usage: %s FILE ROUNDS", argv[0]);
	memset(ring, 'x', sizeof(ring));
	for (size_t i = 0; i < WAYS; i++)
		order[i] = i;
	for (int round = 0; round < atoi(argv[2]); round++) {
		for (size_t i = WAYS - 1; i > 0; i--) {
			size_t other = random() % (i + 1), own = order[i];

			order[i] = order[other];
			order[other] = own;
		}
		for (size_t i = 0; i < WAYS; i++)
			try(&ways[order[i]], argv[1]);
	}
	return 0;
}
