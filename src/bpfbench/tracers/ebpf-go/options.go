// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

const (
	commBytes = 16 // with the NUL

	toolSyscount    = "syscount"
	toolRwTracer    = "rw-tracer"
	toolRwTracerAll = "rw-tracer-all"
	toolFsProfile   = "fs-profile"

	attachTracepoint = "tracepoint"
	attachKprobe     = "kprobe"
	attachFentry     = "fentry"

	formatText   = "text"
	formatBinary = "binary"
)

var tools = []string{toolSyscount, toolRwTracer, toolRwTracerAll, toolFsProfile}

type options struct {
	tool         string
	attach       string
	format       string
	targetComm   string
	output       string
	summary      string
	ringbufBytes uint32
	pollMs       uint32
	payloadBytes uint32
}

// keptPayload is the most payload bytes that an event of the tool has.
func (o *options) keptPayload() uint32 {
	if o.tool == toolRwTracerAll {
		return o.payloadBytes
	}
	return 0
}

// commField is the target's comm as the kernel keeps it, NUL-padded.
func (o *options) commField() (field [commBytes]byte) {
	copy(field[:], o.targetComm)
	return field
}

type rule struct {
	name      string
	supported string
	set       func(value string) bool
}

func choice(chosen *string, names ...string) func(string) bool {
	return func(value string) bool {
		*chosen = value
		return slices.Contains(names, value)
	}
}

// number takes decimal digits and nothing else.
func number(result *uint32, lowest, highest uint32) func(string) bool {
	return func(value string) bool {
		if strings.Trim(value, "0123456789") != "" {
			return false
		}
		n, err := strconv.ParseUint(value, 10, 32)
		*result = uint32(n)
		return err == nil && uint32(n) >= lowest && uint32(n) <= highest
	}
}

func powerOfTwo(result *uint32, lowest, highest uint32) func(string) bool {
	inRange := number(result, lowest, highest)
	return func(value string) bool {
		return inRange(value) && *result&(*result-1) == 0
	}
}

func text(result *string, most int) func(string) bool {
	return func(value string) bool {
		*result = value
		return len(value) >= 1 && len(value) <= most
	}
}

func rules(o *options) []rule {
	const unlimited = int(^uint(0) >> 1)
	return []rule{
		{"--tool", strings.Join(tools, ", "), choice(&o.tool, tools...)},
		{"--attach", "tracepoint, kprobe, fentry", choice(&o.attach, attachTracepoint, attachKprobe, attachFentry)},
		{"--target-comm", "1 to 15 bytes", text(&o.targetComm, commBytes-1)},
		{"--ringbuf-bytes", "a power of two, 4096 to 1073741824", powerOfTwo(&o.ringbufBytes, 4096, 1<<30)},
		{"--poll-ms", "1 to 60000", number(&o.pollMs, 1, 60000)},
		{"--payload-bytes", "1 to 16384", number(&o.payloadBytes, 1, 16384)},
		{"--format", "text, binary", choice(&o.format, formatText, formatBinary)},
		{"--output", "the path of a file", text(&o.output, unlimited)},
		{"--summary", "the path of a file", text(&o.summary, unlimited)},
	}
}

func refuse(name, value, fault, supported string) {
	say(fmt.Sprintf("%s '%s' %s; supported: %s", name, value, fault, supported))
	os.Exit(2)
}

// parseOptions exits with 2, after one line on stderr, unless every option is there and valid.
func parseOptions(args []string) *options {
	o := new(options)
	rules := rules(o)
	given := make(map[string]bool)

	for len(args) > 0 {
		name, value := args[0], ""
		if len(args) > 1 {
			value = args[1]
		}
		r := slices.IndexFunc(rules, func(r rule) bool { return r.name == name })
		switch {
		case r < 0:
			refuse(name, value, "is an unknown option", allNames(rules))
		case len(args) == 1:
			refuse(name, value, "lacks its value", rules[r].supported)
		case given[name]:
			refuse(name, value, "is given twice", "each option once")
		case !rules[r].set(value):
			refuse(name, value, "is not supported", rules[r].supported)
		}
		given[name] = true
		args = args[2:]
	}
	for _, r := range rules {
		if !given[r.name] {
			refuse(r.name, "", "is missing", r.supported)
		}
	}
	if o.tool == toolSyscount && o.attach != attachTracepoint {
		refuse("--attach", o.attach, "is not supported by syscount", attachTracepoint)
	}
	if o.tool == toolFsProfile && o.format != formatText {
		refuse("--format", o.format, "is not supported by fs-profile", formatText)
	}
	return o
}

func allNames(rules []rule) string {
	names := make([]string, len(rules))
	for i, r := range rules {
		names[i] = r.name
	}
	return strings.Join(names, ", ")
}
