// SPDX-License-Identifier: Apache-2.0
/* How fast bytes can be written where a tracer's output goes, in writes of the size that tracers use; and how fast a
 * ring can be copied out into such a buffer. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "roofline.h"

#define DIRECT_ALIGNMENT 4096
#define COPIED_BYTES (1ULL << 30)
#define OUTPUT_BYTES 65536
#define SLOT_ALIGNMENT 8
#define HEADER_BYTES 8

void measure_sink(char **words)
{
	const char *path = words[0];
	uint64_t bytes = number(words[1]), chunk_bytes = number(words[2]), written = 0, begin_ns, ns;
	int flags = O_WRONLY | O_CREAT | (strcmp(words[3], "direct") ? 0 : O_DIRECT);
	char *chunk = aligned_alloc(DIRECT_ALIGNMENT, chunk_bytes);
	int fd = open(path, flags, 0600);

	if (fd < 0)
		fail_with(path, errno);
	if (!chunk)
		fail_with("memory", ENOMEM);
	memset(chunk, 'x', chunk_bytes);
	begin_ns = now_ns();
	while (written < bytes) {
		ssize_t now = write(fd, chunk, chunk_bytes);

		if (now <= 0)
			fail_with(path, now ? errno : ENOSPC);
		written += now;
	}
	ns = now_ns() - begin_ns;
	close(fd);
	printf("{\"bytes\": %llu, \"ns\": %llu}\n", (unsigned long long)written, (unsigned long long)ns);
}

/* As a consumer does that only copies: from slot to slot of a ring into one output buffer, which is begun anew when it
 * is full. */
void measure_copy(char **words)
{
	size_t record = number(words[0]), ring_bytes = number(words[1]);
	size_t slot = (record + HEADER_BYTES + SLOT_ALIGNMENT - 1) / SLOT_ALIGNMENT * SLOT_ALIGNMENT;
	char *ring = malloc(ring_bytes), *output = malloc(OUTPUT_BYTES);
	uint64_t begin_ns, ns, records = 0;
	size_t used = 0;

	if (!ring || !output || slot > ring_bytes || record > OUTPUT_BYTES)
		fail("a ring of %zu bytes is no place for records of %zu", ring_bytes, record);
	memset(ring, 'x', ring_bytes);
	begin_ns = now_ns();
	for (uint64_t copied = 0; copied < COPIED_BYTES;)
		for (size_t at = 0; at + slot <= ring_bytes && copied < COPIED_BYTES; at += slot) {
			if (used + record > OUTPUT_BYTES)
				used = 0;
			memcpy(output + used, ring + at + HEADER_BYTES, record);
			__asm__ volatile("" : : "r"(output) : "memory"); /* the copy is not left out */
			used += record;
			copied += record;
			records++;
		}
	ns = now_ns() - begin_ns;
	printf("{\"records\": %llu, \"ns\": %llu}\n", (unsigned long long)records, (unsigned long long)ns);
}
