// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// stop is how the tracer is told to stop: the first SIGINT or SIGTERM asks, the second kills.
type stop struct {
	asked  chan struct{} // closed then
	ns     atomic.Int64  // when; 0 until then
	doomed atomic.Pointer[string]
}

func catchStopSignals() *stop {
	s := &stop{asked: make(chan struct{})}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM)
	// These become errors of write(2), which are reported.
	signal.Ignore(unix.SIGPIPE, unix.SIGXFSZ)
	go s.listen(signals)
	return s
}

func (s *stop) listen(signals <-chan os.Signal) {
	<-signals
	s.ns.Store(monotonicNs())
	close(s.asked)

	second := <-signals
	if path := s.doomed.Load(); path != nil {
		_ = os.Remove(*path)
	}
	os.Exit(128 + int(second.(syscall.Signal)))
}

// requested is for the path of each event, where a channel is dear.
func (s *stop) requested() bool {
	return s.ns.Load() != 0
}

// removeWhenKilled names a file that a second signal is to remove; nil for none.
func (s *stop) removeWhenKilled(path *string) {
	s.doomed.Store(path)
}

func monotonicNs() int64 {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // cannot fail
	return now.Nano()
}
