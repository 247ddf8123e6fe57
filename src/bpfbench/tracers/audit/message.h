/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUDIT_MESSAGE_H
#define AUDIT_MESSAGE_H

enum { EXIT_IO = 1, EXIT_USAGE = 2 };

/* Ends the program with that status, and one line on stderr. */
_Noreturn void give_up(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
