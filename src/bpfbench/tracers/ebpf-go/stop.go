// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// stop is how the tracer is told to stop: the first SIGINT or SIGTERM asks, as does whatever goes wrong, the second kills.
type stop struct {
	asked  chan struct{} // closed then
	told   int           // an eventfd, readable then
	ns     atomic.Int64  // when; 0 until then
	doomed atomic.Pointer[string]
}

func catchStopSignals() *stop {
	told, _ := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK) // who waits for it says if it is none
	s := &stop{asked: make(chan struct{}), told: told}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM)
	// These become errors of write(2), which are reported.
	signal.Ignore(unix.SIGPIPE, unix.SIGXFSZ)
	go s.listen(signals)
	return s
}

func (s *stop) listen(signals <-chan os.Signal) {
	<-signals
	s.ask()

	second := <-signals
	if path := s.doomed.Load(); path != nil {
		_ = os.Remove(*path)
	}
	os.Exit(128 + int(second.(syscall.Signal)))
}

// ask may be called again, which changes nothing.
func (s *stop) ask() {
	if s.ns.CompareAndSwap(0, monotonicNs()) {
		close(s.asked)
		_, _ = unix.Write(s.told, binary.NativeEndian.AppendUint64(nil, 1))
	}
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
