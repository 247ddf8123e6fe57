// SPDX-License-Identifier: Apache-2.0
/* The least that a tracer of one thread can do with its events, by libbpf: copies each once into a buffer, and writes
 * that. What it saves is no output of any format, only as long as one. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "roofline.h"
#include "roofline.skel.h"

#define POLL_MS 100
#define BUFFER_BYTES 262144 /* so large that what a call of write(2) takes by itself is little */
#define EVENT_MOST 65536
#define DIRECT_ALIGNMENT 4096

static volatile sig_atomic_t stopping;

struct least {
	const char *path;
	int fd;
	size_t event_bytes; /* of output */
	size_t used;
	char *buffer;
};

static void on_signal(int number)
{
	stopping = number;
}

/* Always whole buffers, and so whole pages: what is beyond one begins the next. */
static void write_buffer(struct least *least)
{
	ssize_t written = write(least->fd, least->buffer, BUFFER_BYTES);

	if (written != BUFFER_BYTES)
		fail_with(least->path, written < 0 ? errno : ENOSPC);
	least->used -= BUFFER_BYTES;
	memcpy(least->buffer, least->buffer + BUFFER_BYTES, least->used);
}

static int on_record(void *context, void *data, size_t size)
{
	struct least *least = context;

	memcpy(least->buffer + least->used, data, size < least->event_bytes ? size : least->event_bytes);
	least->used += least->event_bytes;
	if (least->used >= BUFFER_BYTES)
		write_buffer(least);
	return 0;
}

static struct roofline_bpf *attach(char **words)
{
	struct roofline_bpf *skel = roofline_bpf__open();
	char comm[sizeof(skel->rodata->target_comm)] = "";
	int err;

	libbpf_set_print(NULL);
	if (!skel)
		fail_with("cannot open the BPF object", errno);
	strncpy(comm, words[0], sizeof(comm) - 1);
	memcpy(skel->rodata->target_comm, comm, sizeof(comm));
	skel->rodata->record_bytes = number(words[1]);
	skel->rodata->payload_bytes = number(words[2]);
	bpf_program__set_autoload(skel->progs.produce, false);
	bpf_program__set_autoload(skel->progs.record_read, true);
	err = bpf_map__set_max_entries(skel->maps.ring, number(words[3]));
	if (!err)
		err = roofline_bpf__load(skel);
	if (err)
		fail_with("cannot load", err);
	if (!bpf_program__attach(skel->progs.record_read))
		fail_with("cannot attach", errno);
	return skel;
}

void measure_least(char **words)
{
	struct least least = {.path = words[5], .event_bytes = number(words[4])};
	int direct = strcmp(words[6], "direct") ? 0 : O_DIRECT;
	struct roofline_bpf *skel = attach(words);
	struct ring_buffer *ring = ring_buffer__new(bpf_map__fd(skel->maps.ring), on_record, &least, NULL);
	struct sigaction action = {.sa_handler = on_signal};
	int err = 0;

	least.buffer = aligned_alloc(DIRECT_ALIGNMENT, BUFFER_BYTES + EVENT_MOST);
	least.fd = open(least.path, O_WRONLY | O_CREAT | O_TRUNC | direct, 0600);
	if (!ring || !least.buffer || least.event_bytes > EVENT_MOST)
		fail("there is no room for a ring, or for events of %zu bytes", least.event_bytes);
	if (least.fd < 0)
		fail_with(least.path, errno);
	memset(least.buffer, ' ', BUFFER_BYTES + EVENT_MOST);
	sigaction(SIGINT, &action, NULL);
	puts("READY");
	fflush(stdout);
	while (!stopping && (err >= 0 || err == -EINTR))
		err = ring_buffer__poll(ring, POLL_MS);
	if (!stopping)
		fail_with("cannot wait for the ring", err);
	ring_buffer__free(ring);
	roofline_bpf__destroy(skel);
}
