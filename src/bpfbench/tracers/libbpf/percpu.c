// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "percpu.h"

/* How many values the map has for a key. */
static int values_of(const struct bpf_map *map)
{
	return bpf_map__type(map) == BPF_MAP_TYPE_HASH ? 1 : libbpf_num_possible_cpus();
}

int sum_per_cpu(const struct bpf_map *map, const void *key, size_t key_size, uint64_t *sums, size_t words)
{
	int cpus = values_of(map);
	uint64_t *values;
	int err;

	if (cpus < 0)
		return -1;
	values = calloc(cpus, words * sizeof(*values));
	if (!values)
		return -1;
	err = bpf_map__lookup_elem(map, key, key_size, values, cpus * words * sizeof(*values), 0);
	for (size_t i = 0; !err && i < cpus * words; i++)
		sums[i % words] += values[i];
	free(values);
	return err ? -1 : 0;
}
