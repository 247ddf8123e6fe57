// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"

	"github.com/cilium/ebpf"
)

const (
	kindRead  = "read"
	kindWrite = "write"
)

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

// loadRwFor loads the object that has what is asked for: that of the knobs does more for each event.
func loadRwFor(o *options) (*ebpf.Collection, error) {
	load := loadRw
	values := map[string]any{"target_comm": o.commField(), "payload_bytes": o.keptPayload()}
	switch {
	case o.buffer == bufferPerf:
		load = loadRwPerf
	case o.hasKernelKnobs():
		load = loadRwKnobs
		values["wakeup_bytes"] = o.wakeupBytes()
		values["ring_count"] = o.ringCount()
		values["ring_of_cpu"] = o.rings == ringOfCPU
		values["variable_records"] = o.records == recordsVariable
	}
	spec, err := load()
	if err != nil {
		return nil, err
	}
	for name, value := range values {
		if err := spec.Variables[name].Set(value); err != nil {
			return nil, err
		}
	}
	// [snippet ringbuf_bytes]
	if o.buffer == bufferRing {
		spec.Maps["events"].MaxEntries = o.ringbufBytes
	}
	// [end ringbuf_bytes]
	// [snippet rings]
	if rings := spec.Maps["rings"]; rings != nil {
		rings.MaxEntries = o.ringCount()
	}
	// [end rings]

	choosePrograms(spec, o.attach)
	return ebpf.NewCollection(spec)
}

// makeRings returns the ring, or all of several, which it makes and puts into the map of them; or the one map that perf
// buffers are put into.
func makeRings(o *options, objects *ebpf.Collection) ([]*ebpf.Map, error) {
	// [snippet rings]
	rings := []*ebpf.Map{objects.Maps["events"]}
	for len(rings) < int(o.ringCount()) {
		spec := ebpf.MapSpec{Name: "events", Type: ebpf.RingBuf, MaxEntries: o.ringbufBytes}
		ring, err := ebpf.NewMap(&spec)
		if err != nil {
			return nil, err
		}
		rings = append(rings, ring)
	}
	for i, ring := range rings {
		if len(rings) > 1 {
			if err := objects.Maps["rings"].Put(uint32(i), ring); err != nil {
				return nil, err
			}
		}
	}
	// [end rings]
	return rings, nil
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

// saver returns what saves a sample.
func (r *run) saver() func(o *output, sample []byte) {
	payloadBytes := int(r.options.keptPayload())
	if r.options.format == formatText {
		return func(o *output, sample []byte) { o.eventText(sample, payloadBytes) }
	}
	return func(o *output, sample []byte) { o.eventBinary(sample, payloadBytes) }
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

// throughRings attaches, saves what comes through the rings until told to stop, detaches, drains, and saves the rest.
func (r *run) throughRings(
	objects *ebpf.Collection, rings []*ebpf.Map, save func(o *output, sample []byte), saveRest func(),
) {
	hooks := rwHooks(r.options.attach, objects.Programs)
	consumers, err := r.newConsumers(rings, save)
	if err != nil {
		r.fail("cannot map the ring: %w", err)
	} else if r.attach(hooks) {
		r.announceReady()
		follow(consumers)
	}
	r.noteStop()
	r.detach()
	for _, c := range consumers {
		c.drain()
		r.absorb(c)
		defer c.close()
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
	rings, err := makeRings(r.options, objects)
	if err != nil {
		r.fail("cannot make the rings: %w", err)
		return
	}
	r.noteLoaded()

	r.throughRings(objects, rings, r.saver(), func() {})
	r.countRw(objects.Maps["counters"])
}
