// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include "stop.h"

_Atomic int stop_signal;
volatile uint64_t stop_ns;
static const char *volatile doomed;

uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

/* A signal that arrives between the check of stop_signal and the system call that waits would not interrupt the wait;
 * the alarm a second later does. */
static void on_stop(int signal)
{
	if (stop_signal) {
		if (doomed)
			unlink(doomed);
		_exit(128 + signal);
	}
	stop_ns = monotonic_ns();
	stop_signal = signal;
	alarm(1);
}

static void on_alarm(int signal)
{
	(void)signal;
}

static void handle(int signal, void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler}; /* no SA_RESTART: waits are to end */

	/* One at a time, so that each handler sees what the last one did. */
	sigaddset(&action.sa_mask, SIGINT);
	sigaddset(&action.sa_mask, SIGTERM);
	sigaction(signal, &action, NULL);
}

void catch_stop_signals(void)
{
	handle(SIGINT, on_stop);
	handle(SIGTERM, on_stop);
	handle(SIGALRM, on_alarm);
	/* These become errors of write(2), which are reported. */
	handle(SIGPIPE, SIG_IGN);
	handle(SIGXFSZ, SIG_IGN);
}

void remove_when_killed(const char *path)
{
	doomed = path;
}
