// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

const membarrierGlobal = 1 // MEMBARRIER_CMD_GLOBAL of linux/membarrier.h

type syscallCount struct {
	number uint64
	count  uint64
}

// run is one run of a tool: what was asked, and what came of it, which the summary reports.
type run struct {
	options          *options
	stop             *stop
	sink             *sink
	output           *output // of the one consumer; at the end with what all others had
	attached         []attachment
	loaded           bool              // the programs; from then on there will be a summary
	intercepted      map[string]uint64 // by kind
	ringFull         uint64
	mapFull          uint64
	recursion        uint64
	missed           uint64
	recursionUnknown bool
	missedUnknown    bool
	syscalls         []syscallCount // by number
	startNs          int64
	readyNs          int64
	stopNs           int64
	drainedNs        int64
	err              error // the first
}

// fail keeps the first of the errors, and ends the run.
func (r *run) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
	r.stop.ask()
}

// giveBack gives memory back that only loading needed: see giveback.go.
var giveBack = func() {}

func (r *run) noteLoaded() {
	r.loaded = true
	giveBack()
}

// attachment is a hook with its program on it.
type attachment struct {
	hook
	link link.Link
}

// attach attaches in order, and reports whether it has attached all.
func (r *run) attach(hooks []hook) bool {
	for _, h := range hooks {
		attached, err := h.attach()
		if err != nil {
			r.fail("cannot attach: %s: %w", h.name, err)
			return false
		}
		r.attached = append(r.attached, attachment{h, attached})
	}
	return true
}

func (r *run) announceReady() {
	if r.stop.requested() {
		return
	}
	r.readyNs = monotonicNs()
	if _, err := os.Stdout.WriteString("READY\n"); err != nil {
		r.fail("cannot print READY: %w", reason(err))
	}
}

func (r *run) noteStop() {
	r.stopNs = r.stop.ns.Load()
	if r.stopNs == 0 {
		r.stopNs = monotonicNs()
	}
}

// detach detaches in the order of attaching. What a probe has missed is known until it is detached. A program that is
// detached may still be running on another CPU. It runs inside an RCU read-side section, and membarrier waits for all of
// those.
func (r *run) detach() {
	for _, a := range r.attached {
		r.countMissed(a)
		if err := a.link.Close(); err != nil {
			r.fail("cannot detach: %w", err)
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, membarrierGlobal, 0, 0); errno != 0 {
		r.fail("cannot wait for running programs: membarrier: %w", errno)
	}
}

func (r *run) countRecursion(hooks []hook) {
	r.recursionUnknown = r.options.attach != attachFentry && !recursionIsCounted()
	for _, h := range hooks {
		misses, err := recursionMisses(h.program)
		if err != nil {
			r.fail("cannot read the recursion_misses of %s: %w", h.name, err)
		}
		r.recursion += misses
		r.intercepted[h.kind] += misses
	}
}

// recursionMisses reads what the kernel says of the program's descriptor: the library has the number too, but versions
// of it disagree where (ProgramInfo.RecursionMisses, later Program.Stats).
func recursionMisses(program *ebpf.Program) (misses uint64, err error) {
	info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", program.FD()))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(info)) {
		if n, _ := fmt.Sscanf(line, "recursion_misses: %d", &misses); n == 1 {
			return misses, nil
		}
	}
	return 0, unix.ENODATA
}

// recursionIsCounted: only from 6.7 on does the kernel count the skipped runs of tracepoint and kprobe programs; the
// field is older, and then 0. No feature tells.
func recursionIsCounted() bool {
	var kernel unix.Utsname
	var major, minor int

	if unix.Uname(&kernel) != nil {
		return false
	}
	release := kernel.Release[:max(bytes.IndexByte(kernel.Release[:], 0), 0)]
	if n, _ := fmt.Sscanf(string(release), "%d.%d", &major, &minor); n != 2 {
		return false
	}
	return major > 6 || (major == 6 && minor >= 7)
}

func (r *run) finishOutput() {
	r.output.flush()
	r.sink.close()
	r.drainedNs = monotonicNs()
	if r.sink.err != nil {
		r.fail("cannot write %s: %w", r.options.output, reason(r.sink.err))
	}
}
