// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"slices"

	"github.com/cilium/ebpf"
)

const kindSyscall = "syscall"

func loadSyscountFor(o *options) (*syscountObjects, error) {
	spec, err := loadSyscount()
	if err != nil {
		return nil, err
	}
	var specs syscountSpecs
	if err := spec.Assign(&specs); err != nil {
		return nil, err
	}
	if err := specs.TargetComm.Set(o.commField()); err != nil {
		return nil, err
	}

	objects := new(syscountObjects)
	return objects, spec.LoadAndAssign(objects, nil)
}

func sum(perCPU []uint64) (total uint64) {
	for _, n := range perCPU {
		total += n
	}
	return total
}

func (r *run) readCounts(counts *ebpf.Map) {
	var number uint64
	var perCPU []uint64

	entries := counts.Iterate()
	for entries.Next(&number, &perCPU) {
		r.syscalls = append(r.syscalls, syscallCount{number, sum(perCPU)})
	}
	if err := entries.Err(); err != nil {
		r.fail("cannot read the counts: %w", err)
	}
	slices.SortFunc(r.syscalls, func(a, b syscallCount) int { return cmp.Compare(a.number, b.number) })
}

func (r *run) countSyscalls(objects *syscountObjects) {
	var mapFull []uint64

	r.readCounts(objects.Counts)
	if err := objects.MapFull.Lookup(uint32(0), &mapFull); err != nil {
		r.fail("cannot read the counter: %w", err)
	}
	r.mapFull = sum(mapFull)
	events := r.mapFull
	for _, call := range r.syscalls {
		events += call.count
		if r.options.format == formatText {
			r.output.countText(call.number, call.count)
		} else {
			r.output.countBinary(call.number, call.count)
		}
	}
	r.intercepted = map[string]uint64{kindSyscall: events}
}

// syscount takes one look at the map, at the end.
func (r *run) syscount() {
	objects, err := loadSyscountFor(r.options)
	if err != nil {
		r.fail("cannot load: %w", err)
		return
	}
	defer objects.Close()
	r.noteLoaded()

	hooks := []hook{tracepoint(objects.Syscount, kindSyscall, "raw_syscalls", "sys_enter")}
	if r.attach(hooks) {
		r.announceReady()
		<-r.stop.asked
	}
	r.noteStop()
	r.detach()
	r.countSyscalls(objects)
	r.countRecursion(hooks)
	r.finishOutput()
}
