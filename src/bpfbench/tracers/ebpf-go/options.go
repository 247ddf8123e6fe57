// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
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

	wakeAdaptive  = "adaptive"
	wakeNever     = "never"
	wakeWatermark = "watermark:"
	wakePoll      = "poll"

	ringOfCPU = 0 // in the place of a number of rings

	consumersOne  = "one"
	consumersRing = "ring"

	recordsFixed    = "fixed"
	recordsVariable = "variable"

	bufferRing = "ring"
	bufferPerf = "perf"

	epollLevel = "level"
	epollEdge  = "edge"
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
	wakeup       string
	watermark    uint32 // of wakeWatermark
	rings        uint32
	consumers    string
	outputBytes  uint32
	records      string
	buffer       string
	epoll        string
}

// keptPayload is the most payload bytes that an event of the tool has.
func (o *options) keptPayload() uint32 {
	if o.tool == toolRwTracerAll {
		return o.payloadBytes
	}
	return 0
}

// hasKernelKnobs tells whether any knob is set that has to do with the programs in the kernel.
func (o *options) hasKernelKnobs() bool {
	return o.wakeup != wakeAdaptive || o.rings != 1 || o.records != recordsFixed
}

// wakeupBytes is as ../common/rw_knobs.h has it.
func (o *options) wakeupBytes() uint64 {
	switch o.wakeup {
	case wakeAdaptive:
		return 0
	case wakeWatermark:
		return uint64(o.watermark)
	default:
		return ^uint64(0)
	}
}

func (o *options) ringCount() uint32 {
	if o.rings == ringOfCPU {
		return uint32(ebpf.MustPossibleCPU())
	}
	return o.rings
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
	usual     string // the value of what may be left out
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

func wakeup(o *options) func(string) bool {
	inRange := number(&o.watermark, 1, 1<<30-1)
	named := choice(&o.wakeup, wakeAdaptive, wakeNever, wakePoll)
	return func(value string) bool {
		if bytes, ok := strings.CutPrefix(value, wakeWatermark); ok {
			o.wakeup = wakeWatermark
			return inRange(bytes)
		}
		return named(value)
	}
}

func rings(result *uint32) func(string) bool {
	inRange := number(result, 1, 64)
	return func(value string) bool {
		if value == "cpu" {
			*result = ringOfCPU
			return true
		}
		return inRange(value)
	}
}

func rules(o *options) []rule {
	const unlimited = int(^uint(0) >> 1)
	return []rule{
		{"--tool", strings.Join(tools, ", "), choice(&o.tool, tools...), ""},
		{"--attach", "tracepoint, kprobe, fentry", choice(&o.attach, attachTracepoint, attachKprobe, attachFentry), ""},
		{"--target-comm", "1 to 15 bytes", text(&o.targetComm, commBytes-1), ""},
		{"--ringbuf-bytes", "a power of two, 4096 to 1073741824", powerOfTwo(&o.ringbufBytes, 4096, 1<<30), ""},
		{"--poll-ms", "1 to 60000", number(&o.pollMs, 1, 60000), ""},
		{"--payload-bytes", "1 to 16384", number(&o.payloadBytes, 1, 16384), ""},
		{"--format", "text, binary", choice(&o.format, formatText, formatBinary), ""},
		{"--output", "the path of a file", text(&o.output, unlimited), ""},
		{"--summary", "the path of a file", text(&o.summary, unlimited), ""},
		{"--wakeup", "adaptive, never, watermark:BYTES (1 to ringbuf-bytes - 1), poll", wakeup(o), wakeAdaptive},
		{"--rings", "1 to 64, cpu", rings(&o.rings), "1"},
		{"--consumers", "one, ring", choice(&o.consumers, consumersOne, consumersRing), consumersOne},
		{"--output-bytes", "4096 to 67108864", number(&o.outputBytes, 4096, 1<<26), "65536"},
		{"--records", "fixed, variable", choice(&o.records, recordsFixed, recordsVariable), recordsFixed},
		{"--buffer", "ring, perf", choice(&o.buffer, bufferRing, bufferPerf), bufferRing},
		{"--epoll", "level, edge", choice(&o.epoll, epollLevel, epollEdge), epollLevel},
	}
}

func refuse(name, value, fault, supported string) {
	say(fmt.Sprintf("%s '%s' %s; supported: %s", name, value, fault, supported))
	os.Exit(2)
}

// parseOptions exits with 2, after one line on stderr, unless every option is there, or may be left out, and valid.
func parseOptions(args []string) *options {
	o := new(options)
	rules := rules(o)
	given := make(map[string]string)

	for len(args) > 0 {
		name, value := args[0], ""
		if len(args) > 1 {
			value = args[1]
		}
		r := slices.IndexFunc(rules, func(r rule) bool { return r.name == name })
		if r < 0 {
			refuse(name, value, "is an unknown option", allNames(rules))
		}
		if len(args) == 1 {
			refuse(name, value, "lacks its value", rules[r].supported)
		}
		if _, twice := given[name]; twice {
			refuse(name, value, "is given twice", "each option once")
		}
		given[name] = value
		args = args[2:]
	}
	for _, r := range rules {
		value, ok := given[r.name]
		if !ok && r.usual == "" {
			refuse(r.name, "", "is missing", r.supported)
		}
		if !ok {
			value = r.usual
		}
		if !r.set(value) {
			refuse(r.name, value, "is not supported", r.supported)
		}
	}
	refuseCombinations(o, rules, given)
	return o
}

func refuseCombinations(o *options, rules []rule, given map[string]string) {
	byTool := "is not supported by " + o.tool
	if o.tool == toolSyscount && o.attach != attachTracepoint {
		refuse("--attach", o.attach, byTool, attachTracepoint)
	}
	if o.tool == toolFsProfile && o.format != formatText {
		refuse("--format", o.format, byTool, formatText)
	}
	for _, r := range rules {
		value, ok := given[r.name]
		switch {
		case !ok || r.usual == "" || value == r.usual:
		case o.tool == toolSyscount, o.tool == toolFsProfile, o.tool == toolRwTracer && r.name == "--records":
			refuse(r.name, value, byTool, r.usual)
		case r.name == "--wakeup" && o.wakeup == wakeWatermark && o.watermark >= o.ringbufBytes:
			refuse(r.name, value, "is more than the ring holds", r.supported)
		case r.name == "--consumers" && o.rings == 1:
			refuse(r.name, value, "is not supported with one ring", consumersOne)
		case (r.name == "--rings" || r.name == "--records" || r.name == "--epoll") && o.buffer == bufferPerf:
			refuse(r.name, value, "is not supported with --buffer perf", r.usual)
		case r.name == "--epoll" && (o.wakeup == wakeNever || o.wakeup == wakePoll):
			refuse(r.name, value, "is not supported where nobody is woken", epollLevel)
		}
	}
}

func allNames(rules []rule) string {
	names := make([]string, len(rules))
	for i, r := range rules {
		names[i] = r.name
	}
	return strings.Join(names, ", ")
}
