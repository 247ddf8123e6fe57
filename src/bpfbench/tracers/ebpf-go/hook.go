// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// hook is a program and where it goes.
type hook struct {
	program *ebpf.Program
	kind    string // of event, under which its losses count
	name    string // of where it goes, for messages
	attach  func() (link.Link, error)
}

func tracepoint(program *ebpf.Program, kind, group, name string) hook {
	return hook{program, kind, group + "/" + name, func() (link.Link, error) {
		return link.Tracepoint(group, name, program, nil)
	}}
}

func kprobe(program *ebpf.Program, kind, symbol string) hook {
	return hook{program, kind, symbol, func() (link.Link, error) {
		return link.Kprobe(symbol, program, nil)
	}}
}

func kretprobe(program *ebpf.Program, kind, symbol string) hook {
	return hook{program, kind, symbol, func() (link.Link, error) {
		return link.Kretprobe(symbol, program, nil)
	}}
}

// tracing is for fentry and fexit; which function it is was settled when the program was loaded.
func tracing(program *ebpf.Program, kind, function string) hook {
	return hook{program, kind, function, func() (link.Link, error) {
		return link.AttachTracing(link.TracingOptions{Program: program})
	}}
}
