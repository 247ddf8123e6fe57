// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <sys/epoll.h>

#include "edge.h"

int turn_to_edges(struct ring_buffer *rings, const int *fds, size_t count, int over)
{
	/* [snippet epoll] */
	int epoll = ring_buffer__epoll_fd(rings);
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};

	for (size_t i = 0; i < count; i++) {
		event.data.fd = i; /* which ring, as libbpf has it */
		if (epoll_ctl(epoll, EPOLL_CTL_MOD, fds[i], &event))
			return -errno;
	}
	/* [end epoll] */
	event = (struct epoll_event){.events = EPOLLIN};
	return over >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, over, &event) ? -errno : 0;
}

int wait_for_edge(struct ring_buffer *rings, int timeout_ms)
{
	struct epoll_event event; /* all rings are looked into, whichever it was */

	/* [snippet epoll] */
	/* ring_buffer__poll() would not look again between a take and the next wait. */
	if (epoll_wait(ring_buffer__epoll_fd(rings), &event, 1, timeout_ms) < 0 && errno != EINTR)
		return -errno;
	/* [end epoll] */
	return 0;
}
