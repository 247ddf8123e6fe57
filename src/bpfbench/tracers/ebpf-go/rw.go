// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"maps"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
)

const (
	kindRead  = "read"
	kindWrite = "write"
)

// The library rounds the time left until a deadline down to milliseconds. A little of it is always gone by then, and of
// 1 ms nothing would be left.
const roundingUp = time.Millisecond - time.Nanosecond

// Each flavour has its type of program.
var programTypes = map[string]ebpf.ProgramType{
	attachTracepoint: ebpf.TracePoint,
	attachKprobe:     ebpf.Kprobe,
	attachFentry:     ebpf.Tracing,
}

// choosePrograms leaves the programs of one flavour alone: the kernel may not know the others.
func choosePrograms(spec *ebpf.CollectionSpec, attach string) {
	maps.DeleteFunc(spec.Programs, func(_ string, program *ebpf.ProgramSpec) bool {
		return program.Type != programTypes[attach]
	})
}

func loadRwFor(o *options) (*ebpf.Collection, error) {
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

	choosePrograms(spec, o.attach)
	return ebpf.NewCollection(spec)
}

// The order is that of ../common/rw_hooks.bpf.h, which says why.
func rwHooks(attach string, programs map[string]*ebpf.Program) []hook {
	switch attach {
	case attachKprobe:
		return []hook{
			kretprobe(programs["kretprobe_read"], kindRead, "vfs_read"),
			kretprobe(programs["kretprobe_write"], kindWrite, "vfs_write"),
			kprobe(programs["kprobe_read"], kindRead, "vfs_read"),
			kprobe(programs["kprobe_write"], kindWrite, "vfs_write"),
		}
	case attachFentry:
		return []hook{
			tracing(programs["fexit_read"], kindRead, "vfs_read"),
			tracing(programs["fexit_write"], kindWrite, "vfs_write"),
			tracing(programs["fentry_read"], kindRead, "vfs_read"),
			tracing(programs["fentry_write"], kindWrite, "vfs_write"),
		}
	}
	return []hook{
		tracepoint(programs["read_exit"], kindRead, "syscalls", "sys_exit_read"),
		tracepoint(programs["pread64_exit"], kindRead, "syscalls", "sys_exit_pread64"),
		tracepoint(programs["write_exit"], kindWrite, "syscalls", "sys_exit_write"),
		tracepoint(programs["pwrite64_exit"], kindWrite, "syscalls", "sys_exit_pwrite64"),
		tracepoint(programs["read_enter"], kindRead, "syscalls", "sys_enter_read"),
		tracepoint(programs["pread64_enter"], kindRead, "syscalls", "sys_enter_pread64"),
		tracepoint(programs["write_enter"], kindWrite, "syscalls", "sys_enter_write"),
		tracepoint(programs["pwrite64_enter"], kindWrite, "syscalls", "sys_enter_pwrite64"),
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

func (r *run) countRw(counters *ebpf.Map) {
	var perCPU []rwRwCounters

	if err := counters.Lookup(uint32(0), &perCPU); err != nil {
		r.fail("cannot read the counters: %w", err)
	}
	for _, c := range perCPU {
		r.intercepted[kindRead] += c.Intercepted[0]
		r.intercepted[kindWrite] += c.Intercepted[1]
		r.ringFull += c.RingFull
		r.mapFull += c.MapFull
	}
}

// throughRing attaches, saves what comes through the ring until told to stop, detaches, drains, and saves the rest.
func (r *run) throughRing(objects *ebpf.Collection, save func(sample []byte), saveRest func()) {
	hooks := rwHooks(r.options.attach, objects.Programs)
	reader, err := ringbuf.NewReader(objects.Maps["events"])
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
	saveRest()
	r.finishOutput()
	r.countRecursion(hooks)
}

// rw is rw-tracer and rw-tracer-all: from the ring into the file.
func (r *run) rw() {
	r.intercepted = map[string]uint64{kindRead: 0, kindWrite: 0}
	objects, err := loadRwFor(r.options)
	if err != nil {
		r.fail("cannot load: %w", err)
		return
	}
	defer objects.Close()
	r.noteLoaded()

	r.throughRing(objects, r.saver(), func() {})
	r.countRw(objects.Maps["counters"])
}
