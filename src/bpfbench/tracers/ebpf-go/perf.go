// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"runtime"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/perf"
)

// newPerfConsumer returns one for the perf buffers of all CPUs that are online.
func (r *run) newPerfConsumer(events *ebpf.Map, save func(*output, []byte)) (*consumer, error) {
	// [snippet buffer]
	options := perf.ReaderOptions{Watermark: r.options.perfWatermark()}
	buffers, err := perf.NewReaderWithOptions(events, int(r.options.ringbufBytes), options)
	// [end buffer]
	if err != nil {
		return nil, err
	}
	return &consumer{options: r.options, stop: r.stop, buffers: buffers, output: r.output, save: save}, nil
}

// [snippet buffer]

// perfWatermark is how many bytes wake: 0 for any; and where nobody is to be woken, as many as the
// library allows.
func (o *options) perfWatermark() int {
	switch o.wakeup {
	case wakeAdaptive:
		return 0
	case wakeWatermark:
		return int(o.watermark)
	default:
		return int(o.ringbufBytes) - 1
	}
}

// [end buffer]

func (c *consumer) followPerf() {
	switch c.options.wakeup {
	case wakeNever:
		c.napOverPerf()
	case wakePoll:
		c.spinOverPerf()
	default:
		c.waitForPerf()
	}
}

// waitForPerf leaves the waiting to the library, as followOne does: it looks into all buffers at the end of each wait.
func (c *consumer) waitForPerf() {
	wait := time.Duration(c.options.pollMs)*time.Millisecond + roundingUp
	var deadline time.Time

	go func() {
		<-c.stop.asked
		_ = c.buffers.Flush() // fails once the reader is closed, and nothing waits
	}()
	for !c.stop.requested() {
		// [snippet buffer]
		if c.sample.Remaining == 0 {
			deadline = time.Now().Add(wait)
			c.buffers.SetDeadline(deadline)
		}
		switch err := c.buffers.ReadInto(&c.sample); {
		case err == nil:
			c.saveSample()
		case errors.Is(err, os.ErrDeadlineExceeded):
			if time.Until(deadline) <= time.Millisecond {
				c.output.flush()
			}
		case !errors.Is(err, perf.ErrFlushed):
			c.fail("cannot wait for the perf buffers: %w", err)
		}
		// [end buffer]
	}
}

// napOverPerf sleeps for the time-out, whatever is in the buffers.
func (c *consumer) napOverPerf() {
	poll := time.Duration(c.options.pollMs) * time.Millisecond

	c.buffers.SetDeadline(time.Now())
	for !c.stop.requested() {
		select {
		case <-c.stop.asked:
			return
		case <-time.After(poll):
		}
		found := false
		for !c.stop.requested() && c.takeSample() {
			found = true
		}
		if !found {
			c.output.flush()
		}
	}
}

// spinOverPerf looks into the buffers without a pause. Each look is an epoll_wait(2): the library has no other.
func (c *consumer) spinOverPerf() {
	var emptySince time.Time
	poll := time.Duration(c.options.pollMs) * time.Millisecond

	c.buffers.SetDeadline(time.Now())
	for !c.stop.requested() {
		if c.takeSample() {
			emptySince = time.Time{}
			continue
		}
		if emptySince.IsZero() {
			emptySince = time.Now()
		} else if time.Since(emptySince) >= poll {
			c.output.flush()
			emptySince = time.Time{}
		}
		runtime.Gosched() // to who takes signals
	}
}

// takeSample saves what the next record has, and tells whether there was one. The deadline must be over, so that the
// reader does not wait.
func (c *consumer) takeSample() bool {
	switch err := c.buffers.ReadInto(&c.sample); {
	case err == nil:
		c.saveSample()
		return true
	case !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, perf.ErrFlushed):
		c.fail("cannot take from the perf buffers: %w", err)
	}
	return false
}

// saveSample saves it unless it tells of lost ones, which the programs count, where they are refused.
func (c *consumer) saveSample() {
	if c.sample.LostSamples == 0 {
		c.save(c.output, c.sample.RawSample)
	}
}

// drainPerf empties the buffers, into which nothing is put any more. What ended an earlier wait the library tells only
// when it has emptied them as they were then: it takes a second time to know that they are empty.
func (c *consumer) drainPerf() {
	c.buffers.SetDeadline(time.Now())
	for vain := 0; vain < 2; vain++ {
		for c.takeSample() {
			vain = 0
		}
	}
}
