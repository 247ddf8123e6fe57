/* SPDX-License-Identifier: Apache-2.0 */
/* One measurement per process. Each prints one JSON object, and ends the process with 1 and a line on stderr where it
 * cannot be taken. */
#ifndef BPFBENCH_ROOFLINE_H
#define BPFBENCH_ROOFLINE_H

#include <stdint.h>

struct roofline_bpf;

/* usage: sink PATH BYTES CHUNK_BYTES direct|cached */
void measure_sink(char **words);
/* usage: copy RECORD_BYTES RING_BYTES */
void measure_copy(char **words);
/* usage: ring RECORD_BYTES PAYLOAD_BYTES RING_BYTES PRODUCERS never|adaptive MILLISECONDS */
void measure_ring(char **words);
/* usage: least COMM RECORD_BYTES PAYLOAD_BYTES RING_BYTES EVENT_BYTES PATH cached|direct
 * Prints READY instead, and goes on until SIGINT. */
void measure_least(char **words);
/* usage: wake TIMES */
void measure_wake(char **words);
/* usage: hook tracepoint|kprobe|fentry CALLS */
void measure_hook(char **words);

/* Both print a line and end the process with 1. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void fail_with(const char *what, int err);

uint64_t now_ns(void);
uint64_t number(const char *text);
void run_on(int cpu);
/* The CPU with this place among those that the process may use, counted round. */
int allowed_cpu(int place);
int by_value(const void *left, const void *right);

/* Loaded, with a ring of so many bytes, for records of that size. */
struct roofline_bpf *load_producer(uint32_t record_bytes, uint32_t payload_bytes, uint32_t ring_bytes);
/* Has a batch of records produced; returns how many the ring had no room for. */
uint64_t produce_batch(int program, uint32_t records, uint64_t flags, const void *payload);

#endif
