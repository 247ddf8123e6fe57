// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/perf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"
)

const (
	// The library rounds the time left until a deadline down to milliseconds. A little of it is always gone by then,
	// and of 1 ms nothing would be left.
	roundingUp = time.Millisecond - time.Nanosecond

	headerBytes = 8    // of each record in a ring
	turnBytes   = 1e5  // taken out of one ring while others may overflow
	spins       = 1024 // how often empty rings are looked at before the clock is, which costs more
)

// consumer takes events out of a ring, or of all, and into the output.
type consumer struct {
	options *options
	stop    *stop
	rings   []*ebpf.Map
	readers []*ringbuf.Reader
	record  ringbuf.Record
	buffers *perf.Reader // or these, and no rings
	sample  perf.Record
	output  *output
	save    func(o *output, sample []byte)
	err     error // the first
}

// newConsumers returns one for all rings, or one for each, with a buffer of its own.
func (r *run) newConsumers(rings []*ebpf.Map, save func(*output, []byte)) (consumers []*consumer, err error) {
	if r.options.buffer == bufferPerf {
		c, err := r.newPerfConsumer(rings[0], save)
		if err != nil {
			return nil, err
		}
		return []*consumer{c}, nil
	}
	if r.options.consumers == consumersOne {
		c, err := r.newConsumer(rings, r.output, save)
		if err != nil {
			return nil, err
		}
		return []*consumer{c}, nil
	}
	for i := range rings {
		c, err := r.newConsumer(rings[i:i+1], newOutput(r.sink, int(r.options.outputBytes)), save)
		if err != nil {
			return consumers, err
		}
		consumers = append(consumers, c)
	}
	return consumers, nil
}

// follow returns when told to stop. Several consumers have as many CPUs as there are for them, whatever one would have.
func follow(consumers []*consumer) {
	if len(consumers) == 1 {
		consumers[0].follow()
		return
	}
	// [snippet consumers]
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), min(len(consumers), runtime.NumCPU())))
	var ended sync.WaitGroup
	for _, c := range consumers {
		ended.Add(1)
		go func() {
			defer ended.Done()
			c.follow()
		}()
	}
	ended.Wait()
	// [end consumers]
}

// absorb takes over what a consumer has done.
func (r *run) absorb(c *consumer) {
	if c.err != nil {
		r.fail("%w", c.err)
	}
	if c.output != r.output {
		c.output.flush()
		r.output.saved += c.output.saved
		r.output.lost += c.output.lost
	}
}

func (r *run) newConsumer(rings []*ebpf.Map, output *output, save func(*output, []byte)) (*consumer, error) {
	c := &consumer{options: r.options, stop: r.stop, rings: rings, output: output, save: save}
	for _, ring := range rings {
		// [snippet rings]
		reader, err := ringbuf.NewReader(ring)
		if err != nil {
			c.close()
			return nil, err
		}
		c.readers = append(c.readers, reader)
		// [end rings]
	}
	return c, nil
}

func (c *consumer) close() {
	for _, reader := range c.readers {
		_ = reader.Close()
	}
	if c.buffers != nil {
		_ = c.buffers.Close()
	}
}

func (c *consumer) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
	c.stop.ask()
}

// follow saves events until told to stop.
func (c *consumer) follow() {
	switch {
	case c.buffers != nil:
		c.followPerf()
	case c.options.wakeup == wakePoll:
		c.spin()
	case len(c.readers) == 1 && c.options.epoll == epollLevel:
		c.followOne(c.readers[0])
	default:
		c.followAll()
	}
}

// followOne leaves the waiting to the library, which looks into the ring at the end of each wait, whoever ends it.
func (c *consumer) followOne(reader *ringbuf.Reader) {
	wait := time.Duration(c.options.pollMs)*time.Millisecond + roundingUp
	var deadline time.Time

	// The reader waits only while it holds its lock, so that another deadline would not end the wait; this does.
	go func() {
		<-c.stop.asked
		_ = reader.Flush() // fails once the reader is closed, and nothing waits
	}()
	for !c.stop.requested() {
		// [snippet poll_ms]
		// [snippet wakeup]
		// With something remaining the reader will not wait.
		if c.record.Remaining == 0 {
			deadline = time.Now().Add(wait)
			reader.SetDeadline(deadline)
		}
		switch err := reader.ReadInto(&c.record); {
		case err == nil:
			c.save(c.output, c.record.RawSample)
		case errors.Is(err, os.ErrDeadlineExceeded):
			// It is told only now of a wait at whose end there was something.
			if time.Until(deadline) <= time.Millisecond {
				c.output.flush()
			}
		case !errors.Is(err, ringbuf.ErrFlushed):
			c.fail("cannot wait for the ring: %w", err)
		}
		// [end wakeup]
		// [end poll_ms]
	}
}

// followAll waits itself, as a reader waits for one ring only, and by level.
func (c *consumer) followAll() {
	epoll, err := c.newEpoll()
	if err != nil {
		c.fail("cannot wait for the rings: %w", err)
		return
	}
	defer unix.Close(epoll)
	c.neverWait()
	for !c.stop.requested() {
		var ready [1]unix.EpollEvent
		readies, err := unix.EpollWait(epoll, ready[:], int(c.options.pollMs))
		if err != nil && !errors.Is(err, unix.EINTR) {
			c.fail("cannot wait for the rings: %w", err)
		}
		found := false
		// [snippet epoll]
		// No edge is missed: the last look comes after the last take, and the library does both by
		// Go's atomics, which are sequentially consistent.
		for c.takeTurn() {
			found = true
		}
		// [end epoll]
		if readies == 0 && !found {
			c.output.flush()
		}
	}
}

// newEpoll is for the end of the run and, unless nobody is to be woken, all rings.
func (c *consumer) newEpoll() (int, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return -1, err
	}
	awaited := []unix.EpollEvent{{Fd: int32(c.stop.told), Events: unix.EPOLLIN}}
	if c.options.wakeup != wakeNever {
		// [snippet epoll]
		events := uint32(unix.EPOLLIN)
		if c.options.epoll == epollEdge {
			events |= unix.EPOLLET
		}
		for _, ring := range c.rings {
			awaited = append(awaited, unix.EpollEvent{Fd: int32(ring.FD()), Events: events})
		}
		// [end epoll]
	}
	for _, event := range awaited {
		if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, int(event.Fd), &event); err != nil {
			_ = unix.Close(epoll)
			return -1, err
		}
	}
	return epoll, nil
}

// spin looks into the rings without a pause.
func (c *consumer) spin() {
	var emptySince time.Time
	poll := time.Duration(c.options.pollMs) * time.Millisecond

	c.neverWait()
	for looks := 1; !c.stop.requested(); looks++ {
		if c.takeTurn() {
			emptySince = time.Time{}
			looks = 0
		} else if looks%spins == 0 {
			if emptySince.IsZero() {
				emptySince = time.Now()
			} else if time.Since(emptySince) >= poll {
				c.output.flush()
				emptySince = time.Time{}
			}
		} else {
			continue
		}
		runtime.Gosched() // to other consumers, and to who takes signals
	}
}

// [snippet wakeup]

// neverWait has readers return at once when they have nothing more.
func (c *consumer) neverWait() {
	for _, reader := range c.readers {
		reader.SetDeadline(time.Now())
	}
}

// [end wakeup]

// takeTurn saves a turn's events of each ring at most, none once told to stop, and tells whether there were any.
func (c *consumer) takeTurn() (found bool) {
	for _, reader := range c.readers {
		left := min(reader.AvailableBytes(), turnBytes)
		for left > 0 && !c.stop.requested() && c.take(reader) {
			left -= headerBytes + (len(c.record.RawSample)+7)&^7
			found = true
		}
	}
	return found
}

// take saves an event of a reader that has one and does not wait.
func (c *consumer) take(reader *ringbuf.Reader) bool {
	for {
		switch err := reader.ReadInto(&c.record); {
		case err == nil:
			c.save(c.output, c.record.RawSample)
			return true
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, ringbuf.ErrFlushed):
			// The end of an earlier wait, reported now.
		default:
			c.fail("cannot take from the ring: %w", err)
			return false
		}
	}
}

// drain empties the rings, into which nothing is put any more.
func (c *consumer) drain() {
	if c.buffers != nil {
		c.drainPerf()
		return
	}
	c.neverWait()
	for _, reader := range c.readers {
		for reader.AvailableBytes() > 0 && c.take(reader) {
		}
	}
}
