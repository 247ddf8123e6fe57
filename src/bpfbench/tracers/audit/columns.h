/* SPDX-License-Identifier: Apache-2.0 */
/* The columns of a line of text. */
#ifndef AUDIT_COLUMNS_H
#define AUDIT_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Each read_ function returns where it ended, or NULL. Those of numbers need not be told where the line ends: no digit
 * is there. */

static inline const char *read_u64(const char *at, uint64_t most, uint64_t *value)
{
	const char *start = at;
	uint64_t n = 0;

	for (; *at >= '0' && *at <= '9'; at++) {
		unsigned int digit = *at - '0';

		if (at - start < 19) /* which always fit */
			n = 10 * n + digit;
		else if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, digit, &n))
			return NULL;
	}
	if (at == start || (*start == '0' && at - start > 1) || n > most)
		return NULL;
	*value = n;
	return at;
}

static inline const char *read_s64(const char *at, int64_t *value)
{
	bool negative = *at == '-';
	uint64_t magnitude;

	at = read_u64(at + negative, INT64_MAX + (uint64_t)negative, &magnitude);
	if (!at || (negative && !magnitude))
		return NULL;
	*value = negative ? -magnitude : magnitude;
	return at;
}

static inline const char *read_u32(const char *at, uint32_t *value)
{
	uint64_t wide;

	at = read_u64(at, UINT32_MAX, &wide);
	if (at)
		*value = wide;
	return at;
}

/* Up to the next tab, and with room for a NUL. */
static inline const char *read_string(const char *at, const char *end, char *to, size_t size)
{
	size_t left = end - at;
	const char *tab = memchr(at, '\t', left < size ? left : size);

	if (!tab)
		return NULL;
	memset(to, 0, size);
	memcpy(to, at, tab - at);
	return tab;
}

/* Reads one and the tab behind it, or returns its number. */
#define COLUMN(number, read, ...)                                                                                      \
	do {                                                                                                           \
		at = read(at, __VA_ARGS__);                                                                            \
		if (!at || *at++ != '\t')                                                                              \
			return number;                                                                                 \
	} while (0)

#endif
