/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PERCPU_H
#define PERCPU_H

#include <stddef.h>
#include <stdint.h>

#include <bpf/libbpf.h>

/* Adds up over all CPUs the value of a map's key, an array of words counters; a plain hash has one value. Returns 0 or
 * -1 with errno. */
int sum_per_cpu(const struct bpf_map *map, const void *key, size_t key_size, uint64_t *sums, size_t words);

#endif
