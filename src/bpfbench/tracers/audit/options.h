/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUDIT_OPTIONS_H
#define AUDIT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "rw_event.h"

#define PAYLOAD_BYTES_MAX 16384
#define DATA_FILES_MAX 4096

enum format { TEXT, BINARY };

struct options {
	const char *output;
	const char *data[DATA_FILES_MAX];
	uint64_t data_files;
	uint64_t dev;
	uint64_t format;
	uint64_t payload_bytes;
	uint64_t block_bytes;
	uint64_t since_ns;
	uint64_t compare_op;
	uint64_t compare_every;
	uint64_t disk_bytes;
	bool profile;
	bool notices;
	bool follow;
	char comm[RW_COMM_BYTES];
};

/* Ends the program with EXIT_USAGE if they are not as they should be. */
void parse_options(int argc, char **argv, struct options *options);

#endif
