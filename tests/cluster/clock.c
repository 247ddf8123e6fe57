// SPDX-License-Identifier: Apache-2.0
// A clock that is OFFSET seconds off, for whatever is started with this in LD_PRELOAD: the time of day alone, as a
// clock that was set wrong; what measures durations is as it was.
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int status = (int)syscall(SYS_clock_gettime, clock, now);
	if (status == 0 && clock == CLOCK_REALTIME)
		now->tv_sec += OFFSET;
	return status;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	int status = (int)syscall(SYS_gettimeofday, now, zone);
	if (status == 0 && now)
		now->tv_sec += OFFSET;
	return status;
}

time_t time(time_t *now)
{
	struct timespec found;
	clock_gettime(CLOCK_REALTIME, &found);
	if (now)
		*now = found.tv_sec;
	return found.tv_sec;
}
