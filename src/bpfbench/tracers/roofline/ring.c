// SPDX-License-Identifier: Apache-2.0
/* The ring alone: produced by nothing but BPF_PROG_TEST_RUN, consumed by libbpf and thrown away. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "produce.h"
#include "roofline.h"
#include "roofline.skel.h"

#define BATCH 256 /* long enough that BPF_PROG_TEST_RUN is no part of it, short enough that a ring holds it */
#define PRODUCERS_MAX 1024
#define POLL_MS 100
#define ASLEEP_US 200 /* after so long with an empty ring the consumer sleeps */
#define WAKE_RING_BYTES (256 * 1024)

static atomic_bool stopping;

struct roofline_bpf *load_producer(uint32_t record_bytes, uint32_t payload_bytes, uint32_t ring_bytes)
{
	struct roofline_bpf *skel;
	int err;

	libbpf_set_print(NULL);
	skel = roofline_bpf__open();
	if (!skel)
		fail_with("cannot open the BPF object", errno);
	skel->rodata->record_bytes = record_bytes;
	skel->rodata->payload_bytes = payload_bytes;
	err = bpf_map__set_max_entries(skel->maps.ring, ring_bytes);
	if (!err)
		err = roofline_bpf__load(skel);
	if (err)
		fail_with("cannot load the producer", err);
	return skel;
}

uint64_t produce_batch(int program, uint32_t records, uint64_t flags, const void *payload)
{
	struct produce order = {.records = records, .flags = flags, .payload = (uintptr_t)payload};
	LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &order, .ctx_size_in = sizeof(order));
	int err = bpf_prog_test_run_opts(program, &options);

	if (err)
		fail_with("BPF_PROG_TEST_RUN", err);
	return order.lost;
}

struct producer {
	pthread_t thread;
	int program, cpu;
	uint64_t flags, produced, lost;
	const void *payload;
};

static void *produce_on(void *context)
{
	struct producer *own = context;

	run_on(own->cpu);
	while (!stopping) {
		own->lost += produce_batch(own->program, BATCH, own->flags, own->payload);
		own->produced += BATCH;
	}
	return NULL;
}

static int throw_away(void *context, void *data, size_t size)
{
	(void)data;
	(void)size;
	++*(uint64_t *)context;
	return stopping ? -EINTR : 0;
}

/* Under load neither call returns before it is told to, by throw_away(). */
static void consume(struct ring_buffer *ring, int busy)
{
	while (!stopping)
		if (busy)
			ring_buffer__consume(ring);
		else
			ring_buffer__poll(ring, POLL_MS);
}

static void *end_after(void *context)
{
	usleep(*(const useconds_t *)context);
	stopping = true;
	return NULL;
}

/* Nobody produces meanwhile: a full ring, filled on another CPU, is emptied, again and again. Timed is the emptying. */
static uint64_t empty_full_rings(struct ring_buffer *ring, int program, uint64_t run_ns, const void *payload)
{
	uint64_t ns = 0;

	while (ns < run_ns) {
		uint64_t begin_ns;

		run_on(allowed_cpu(0));
		while (!produce_batch(program, BATCH, BPF_RB_NO_WAKEUP, payload))
			;
		run_on(allowed_cpu(1));
		begin_ns = now_ns();
		ring_buffer__consume(ring);
		ns += now_ns() - begin_ns;
	}
	return ns;
}

static void report_ring(uint64_t consumed, uint64_t produced, uint64_t lost, uint64_t ns)
{
	printf("{\"consumed\": %llu, \"produced\": %llu, \"lost\": %llu, \"ns\": %llu}\n", (unsigned long long)consumed,
		(unsigned long long)produced, (unsigned long long)lost, (unsigned long long)ns);
}

/* With fewer producers than CPUs the consumer has one for itself; with as many it shares one of theirs. */
void measure_ring(char **words)
{
	uint32_t record_bytes = number(words[0]), payload_bytes = number(words[1]), ring_bytes = number(words[2]);
	int producers = number(words[3]), never = !strcmp(words[4], "never");
	useconds_t run_us = number(words[5]) * 1000;
	struct roofline_bpf *skel = load_producer(record_bytes, payload_bytes, ring_bytes);
	struct producer *own = calloc(producers + 1, sizeof(*own));
	uint64_t consumed = 0, produced = 0, lost = 0, begin_ns, ns;
	char *payload = calloc(1, payload_bytes + 1);
	struct ring_buffer *ring;
	pthread_t clock;

	if (!own || !payload || producers > PRODUCERS_MAX)
		fail("at most %d producers are possible", PRODUCERS_MAX);
	ring = ring_buffer__new(bpf_map__fd(skel->maps.ring), throw_away, &consumed, NULL);
	if (!ring)
		fail_with("cannot map the ring", errno);
	if (!producers) {
		ns = empty_full_rings(ring, bpf_program__fd(skel->progs.produce), run_us * 1000ULL, payload);
		report_ring(consumed, consumed, 0, ns);
		return;
	}
	for (int i = 0; i < producers; i++)
		own[i] = (struct producer){
			.program = bpf_program__fd(skel->progs.produce),
			.cpu = allowed_cpu(i),
			.flags = never ? BPF_RB_NO_WAKEUP : 0,
			.payload = payload,
		};
	run_on(allowed_cpu(producers));
	begin_ns = now_ns();
	for (int i = 0; i < producers; i++)
		if (pthread_create(&own[i].thread, NULL, produce_on, &own[i]))
			fail("cannot start a producer");
	if (pthread_create(&clock, NULL, end_after, &run_us))
		fail("cannot start a clock");
	consume(ring, never);
	ns = now_ns() - begin_ns;
	stopping = true;
	pthread_join(clock, NULL);
	for (int i = 0; i < producers; i++) {
		pthread_join(own[i].thread, NULL);
		produced += own[i].produced;
		lost += own[i].lost;
	}
	report_ring(consumed, produced, lost, ns);
}

struct woken {
	atomic_uint_fast64_t count;
	uint64_t *latency_ns;
};

static int note_latency(void *context, void *data, size_t size)
{
	struct woken *woken = context;
	uint64_t count = woken->count;

	(void)size;
	woken->latency_ns[count] = now_ns() - *(uint64_t *)data;
	woken->count = count + 1;
	return 0;
}

static void *wait_for_ring(void *context)
{
	run_on(allowed_cpu(1));
	while (!stopping)
		ring_buffer__poll(context, POLL_MS);
	return NULL;
}

/* Each record finds the consumer asleep. Half of them wake it, in turn with those that do not and are picked up after:
 * what waking costs the producer is the difference of the two. */
void measure_wake(char **words)
{
	uint64_t times = number(words[0]);
	struct roofline_bpf *skel = load_producer(156, 0, WAKE_RING_BYTES);
	struct woken woken = {.latency_ns = calloc(2 * times, sizeof(uint64_t))};
	uint64_t *waking = calloc(times, sizeof(*waking)), *silent = calloc(times, sizeof(*silent));
	uint64_t *latency = calloc(times, sizeof(*latency));
	int program = bpf_program__fd(skel->progs.produce);
	struct ring_buffer *ring;
	pthread_t consumer;

	if (!woken.latency_ns || !waking || !silent || !latency || times < 10)
		fail("at least 10 times");
	ring = ring_buffer__new(bpf_map__fd(skel->maps.ring), note_latency, &woken, NULL);
	if (!ring)
		fail_with("cannot map the ring", errno);
	if (pthread_create(&consumer, NULL, wait_for_ring, ring))
		fail("cannot start a consumer");
	run_on(allowed_cpu(0));
	for (uint64_t i = 0; i < times; i++) {
		uint64_t begin_ns, before = woken.count;

		usleep(ASLEEP_US);
		begin_ns = now_ns();
		produce_batch(program, 1, BPF_RB_NO_WAKEUP, NULL);
		silent[i] = now_ns() - begin_ns;
		usleep(ASLEEP_US);
		begin_ns = now_ns();
		produce_batch(program, 1, BPF_RB_FORCE_WAKEUP, NULL);
		waking[i] = now_ns() - begin_ns;
		while (woken.count < before + 2)
			usleep(ASLEEP_US);
		latency[i] = woken.latency_ns[before + 1];
	}
	stopping = true;
	pthread_join(consumer, NULL);
	qsort(silent, times, sizeof(*silent), by_value);
	qsort(waking, times, sizeof(*waking), by_value);
	qsort(latency, times, sizeof(*latency), by_value);
	printf("{\"silent_ns\": %llu, \"waking_ns\": %llu, \"latency_p50_ns\": %llu, \"latency_p99_ns\": %llu}\n",
		(unsigned long long)silent[times / 2], (unsigned long long)waking[times / 2],
		(unsigned long long)latency[times / 2], (unsigned long long)latency[times * 99 / 100]);
}
