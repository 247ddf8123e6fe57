/* SPDX-License-Identifier: Apache-2.0 */
/* What the tracer says on stderr: one line at most. */
#ifndef MESSAGE_H
#define MESSAGE_H

#define MESSAGE_BYTES 1024

void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Silences libbpf, which from then on only answers for its last failure: its first warning, and the verifier's last
 * word. */
void catch_libbpf_warnings(void);
const char *libbpf_reason(int error);

#endif
