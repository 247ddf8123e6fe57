// SPDX-License-Identifier: Apache-2.0
/* fs-profile: slow calls as they come, and one look at the maps at the end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "fs_profile.h"
#include "fs_profile.skel.h"
#include "hooks.h"
#include "percpu.h"
#include "record.h"
#include "ring.h"
#include "run.h"

#define SLOW RW_OPS /* the kind behind reads and writes */
#define TOP_LINES 10

struct file_latency {
	struct fs_key key;
	struct fs_latency sum;
};

struct file_use {
	struct fs_file file;
	struct fs_use use;
};

static struct fs_profile_bpf *load(struct run *run)
{
	struct fs_profile_bpf *skel = fs_profile_bpf__open();
	int err;

	if (!skel) {
		fail(run, "cannot open the BPF object: %s", libbpf_reason(errno));
		return NULL;
	}
	choose_programs(skel->obj, run->options.attach);
	memcpy(skel->rodata->target_comm, run->options.target_comm, sizeof(skel->rodata->target_comm));
	err = bpf_map__set_max_entries(skel->maps.events, run->options.ringbuf_bytes);
	if (!err)
		err = fs_profile_bpf__load(skel);
	if (err) {
		fail(run, "cannot load: %s", libbpf_reason(err));
		fs_profile_bpf__destroy(skel);
		return NULL;
	}
	run->loaded = true;
	return skel;
}

static int on_slow(void *context, void *data, size_t size)
{
	const struct consumer *consumer = context;

	record_slow_text(consumer->output, data, size);
	return consumer_goes_on(consumer);
}

static void add_cpu(struct fs_latency *sum, const struct fs_latency *cpu)
{
	sum->count += cpu->count;
	sum->bytes += cpu->bytes;
	sum->total_ns += cpu->total_ns;
	if (cpu->max_ns > sum->max_ns)
		sum->max_ns = cpu->max_ns;
	for (int i = 0; i < FS_SLOTS; i++)
		sum->slots[i] += cpu->slots[i];
	if (!sum->name[0])
		memcpy(sum->name, cpu->name, sizeof(sum->name));
}

/* All entries of a hash in one call, for which there is room. Returns how many, or -1 with errno. */
static int read_batch(const struct bpf_map *map, void *keys, void *values)
{
	__u32 cursor, count = bpf_map__max_entries(map);

	/* The kernel says so when that was the last of them. */
	if (bpf_map_lookup_batch(bpf_map__fd(map), NULL, &cursor, keys, values, &count, NULL) && errno != ENOENT)
		return -1;
	return count;
}

static int by_file(const void *left, const void *right)
{
	const struct fs_key *a = left, *b = right;

	if (a->dev != b->dev)
		return a->dev < b->dev ? -1 : 1;
	if (a->inode != b->inode)
		return a->inode < b->inode ? -1 : 1;
	return (a->op > b->op) - (a->op < b->op);
}

/* Those of the array, which come first, and of the hash. Returns how many, or -1 with errno. */
static int read_latencies(const struct fs_profile_bpf *skel, struct file_latency *found, struct fs_latency *values)
{
	int cpus = libbpf_num_possible_cpus();
	struct fs_key keys[FS_FILES];
	int files;

	for (__u32 op = 0; op < RW_OPS; op++) {
		if (bpf_map__lookup_elem(skel->maps.other, &op, sizeof(op), values, cpus * sizeof(*values), 0))
			return -1;
		found[op].key.op = op;
		for (int cpu = 0; cpu < cpus; cpu++)
			add_cpu(&found[op].sum, &values[cpu]);
	}
	files = read_batch(skel->maps.latency, keys, values);
	for (int i = 0; i < files; i++) {
		found[RW_OPS + i].key = keys[i];
		for (int cpu = 0; cpu < cpus; cpu++)
			add_cpu(&found[RW_OPS + i].sum, &values[i * cpus + cpu]);
	}
	return files < 0 ? -1 : RW_OPS + files;
}

static void save_latencies(struct run *run, const struct fs_profile_bpf *skel)
{
	struct file_latency *found = calloc(RW_OPS + FS_FILES, sizeof(*found));
	struct fs_latency *values = calloc(FS_FILES, libbpf_num_possible_cpus() * sizeof(*values));
	int files = found && values ? read_latencies(skel, found, values) : -1;

	if (files < 0)
		fail(run, "cannot read the latencies: %s", strerror(errno));
	else
		qsort(found, files, sizeof(*found), by_file);
	for (int i = 0; i < files; i++)
		if (found[i].sum.count)
			record_latency_text(&run->output, &found[i].key, &found[i].sum);
	free(values);
	free(found);
}

static int by_calls(const void *left, const void *right)
{
	const struct file_use *a = left, *b = right;

	if (a->use.calls != b->use.calls)
		return a->use.calls > b->use.calls ? -1 : 1;
	if (a->file.dev != b->file.dev)
		return a->file.dev < b->file.dev ? -1 : 1;
	return (a->file.inode > b->file.inode) - (a->file.inode < b->file.inode);
}

static void save_top(struct run *run, const struct fs_profile_bpf *skel)
{
	struct fs_file files[FS_TOP_FILES];
	struct fs_use uses[FS_TOP_FILES];
	struct file_use found[FS_TOP_FILES];
	int count = read_batch(skel->maps.top, files, uses);

	if (count < 0) {
		fail(run, "cannot read the most used files: %s", strerror(errno));
		return;
	}
	for (int i = 0; i < count; i++)
		found[i] = (struct file_use){files[i], uses[i]};
	qsort(found, count, sizeof(*found), by_calls);
	for (int i = 0; i < count && i < TOP_LINES; i++)
		record_top_text(&run->output, &found[i].file, &found[i].use);
}

static void count(struct run *run, const struct fs_profile_bpf *skel)
{
	struct fs_counters sum = {0};
	__u32 zero = 0;

	if (sum_per_cpu(skel->maps.counters, &zero, sizeof(zero), (uint64_t *)&sum, sizeof(sum) / sizeof(uint64_t)))
		fail(run, "cannot read the counters: %s", strerror(errno));
	run->ring_full = sum.ring_full;
	run->map_full = sum.map_full;
	run->intercepted[RW_READ].kind = "read";
	run->intercepted[RW_WRITE].kind = "write";
	run->intercepted[SLOW].kind = "slow";
	for (int op = 0; op < RW_OPS; op++)
		run->intercepted[op].events += sum.intercepted[op];
	run->intercepted[SLOW].events = sum.slow;
	count_skipped(run, skel->obj);
}

void run_fs_profile(struct run *run)
{
	struct fs_profile_bpf *skel = load(run);
	struct consumers *consumers;
	int ring;

	if (!skel)
		return;
	ring = bpf_map__fd(skel->maps.events);
	consumers = through_rings(run, skel->skeleton, &ring, 1, on_slow);
	save_latencies(run, skel);
	save_top(run, skel);
	finish_output(run);
	count(run, skel);
	consumers_free(consumers);
	fs_profile_bpf__destroy(skel);
}
