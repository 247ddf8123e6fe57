// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"time"

	"github.com/cilium/ebpf/ringbuf"
)

const (
	kindRead  = "read"
	kindWrite = "write"
)

// The library rounds the time left until a deadline down to milliseconds. A little of it is always gone by then, and of
// 1 ms nothing would be left.
const roundingUp = time.Millisecond - time.Nanosecond

func loadRwFor(o *options) (*rwObjects, error) {
	spec, err := loadRw()
	if err != nil {
		return nil, err
	}
	var specs rwSpecs
	if err := spec.Assign(&specs); err != nil {
		return nil, err
	}
	if err := specs.TargetComm.Set(o.commField()); err != nil {
		return nil, err
	}
	if err := specs.PayloadBytes.Set(o.keptPayload()); err != nil {
		return nil, err
	}
	specs.Events.MaxEntries = o.ringbufBytes

	objects := new(rwObjects)
	return objects, spec.LoadAndAssign(objects, nil)
}

// The order is that of ../common/rw.bpf.c, which says why.
func rwHooks(programs *rwPrograms) []hook {
	return []hook{
		{programs.ReadExit, kindRead, "syscalls", "sys_exit_read"},
		{programs.Pread64Exit, kindRead, "syscalls", "sys_exit_pread64"},
		{programs.WriteExit, kindWrite, "syscalls", "sys_exit_write"},
		{programs.Pwrite64Exit, kindWrite, "syscalls", "sys_exit_pwrite64"},
		{programs.ReadEnter, kindRead, "syscalls", "sys_enter_read"},
		{programs.Pread64Enter, kindRead, "syscalls", "sys_enter_pread64"},
		{programs.WriteEnter, kindWrite, "syscalls", "sys_enter_write"},
		{programs.Pwrite64Enter, kindWrite, "syscalls", "sys_enter_pwrite64"},
	}
}

// saver returns what puts a sample into the output.
func (r *run) saver() func(sample []byte) {
	payloadBytes := int(r.options.keptPayload())
	if r.options.format == formatText {
		return func(sample []byte) { r.output.eventText(sample, payloadBytes) }
	}
	return func(sample []byte) { r.output.eventBinary(sample, payloadBytes) }
}

// follow saves events until told to stop.
func (r *run) follow(reader *ringbuf.Reader, save func(sample []byte)) {
	wait := time.Duration(r.options.pollMs)*time.Millisecond + roundingUp
	var record ringbuf.Record

	// The reader waits only while it holds its lock, so that another deadline would not end the wait; this does.
	go func() {
		<-r.stop.asked
		_ = reader.Flush() // fails once the reader is closed, and nothing waits
	}()
	for !r.stop.requested() && r.output.err == nil && r.err == nil {
		// With something remaining the reader will not wait.
		if record.Remaining == 0 {
			reader.SetDeadline(time.Now().Add(wait))
		}
		switch err := reader.ReadInto(&record); {
		case err == nil:
			save(record.RawSample)
		case errors.Is(err, os.ErrDeadlineExceeded):
			r.output.flush()
		case !errors.Is(err, ringbuf.ErrFlushed):
			r.fail("cannot wait for the ring: %w", err)
		}
	}
}

// drain empties the ring, into which nothing is put any more.
func (r *run) drain(reader *ringbuf.Reader, save func(sample []byte)) {
	var record ringbuf.Record

	reader.SetDeadline(time.Now()) // no more waits
	for reader.AvailableBytes() > 0 {
		err := reader.ReadInto(&record)
		switch {
		case err == nil:
			save(record.RawSample)
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, ringbuf.ErrFlushed):
			// The end of an earlier wait, reported now.
		default:
			r.fail("cannot drain the ring: %w", err)
			return
		}
	}
}

func (r *run) countRw(objects *rwObjects) {
	var perCPU []rwRwCounters

	if err := objects.Counters.Lookup(uint32(0), &perCPU); err != nil {
		r.fail("cannot read the counters: %w", err)
	}
	r.intercepted = map[string]uint64{kindRead: 0, kindWrite: 0}
	for _, c := range perCPU {
		r.intercepted[kindRead] += c.Intercepted[0]
		r.intercepted[kindWrite] += c.Intercepted[1]
		r.ringFull += c.RingFull
		r.mapFull += c.MapFull
	}
}

// rw is rw-tracer and rw-tracer-all: from the ring into the file.
func (r *run) rw() {
	objects, err := loadRwFor(r.options)
	if err != nil {
		r.fail("cannot load: %w", err)
		return
	}
	defer objects.Close()
	r.noteLoaded()

	hooks := rwHooks(&objects.rwPrograms)
	save := r.saver()
	reader, err := ringbuf.NewReader(objects.Events)
	if err != nil {
		r.fail("cannot map the ring: %w", err)
	} else {
		defer reader.Close()
		if r.attach(hooks) {
			r.announceReady()
			r.follow(reader, save)
		}
	}
	r.noteStop()
	r.detach()
	if reader != nil {
		r.drain(reader, save)
	}
	r.finishOutput()
	r.countRw(objects)
	r.countRecursion(hooks)
}
