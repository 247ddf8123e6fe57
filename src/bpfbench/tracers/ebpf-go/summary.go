// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	library       = "github.com/cilium/ebpf"
	reservedBytes = 32768
	noRecursion   = "kernels before 6.7 do not count how often they skip tracepoint and kprobe programs"
	noMissed      = "kernels before 6.7 do not tell how often they miss a kprobe"
)

// setup is set by ./build: another version of the library is another setup.
var setup = "ebpf-go"

// summaryFile is the JSON summary. It is made beside its final place, with its space reserved: the disk may be full
// when it is due.
type summaryFile struct {
	path      string
	temporary string
	file      *os.File
	stop      *stop
}

func createSummary(path string, stop *stop) (*summaryFile, error) {
	s := &summaryFile{path: path, temporary: path + ".tmp", stop: stop}
	var err error

	stop.removeWhenKilled(&s.temporary)
	s.file, err = os.OpenFile(s.temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		stop.removeWhenKilled(nil)
		return nil, err
	}
	// Not every file system can; the summary then takes its chance.
	_ = unix.Fallocate(int(s.file.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, reservedBytes)
	return s, nil
}

func (s *summaryFile) discard() {
	_ = os.Remove(s.temporary)
	_ = s.file.Close()
	s.stop.removeWhenKilled(nil)
}

func (s *summaryFile) write(r *run) error {
	content, err := json.MarshalIndent(describe(r), "", "  ")
	if err == nil {
		_, err = s.file.Write(append(content, '\n'))
	}
	if err == nil {
		err = os.Rename(s.temporary, s.path)
	}
	if err != nil {
		s.discard()
		return err
	}
	_ = s.file.Close()
	s.stop.removeWhenKilled(nil)
	return nil
}

type lost struct {
	RingFull    uint64  `json:"ring_full"`
	MapFull     uint64  `json:"map_full"`
	Recursion   *uint64 `json:"recursion"`
	Missed      *uint64 `json:"missed"`
	OutputError uint64  `json:"output_error"`
}

type times struct {
	Start   int64  `json:"start"`
	Ready   *int64 `json:"ready"`
	Stop    int64  `json:"stop"`
	Drained int64  `json:"drained"`
}

type summary struct {
	Contract    int               `json:"contract"`
	Setup       string            `json:"setup"`
	Tool        string            `json:"tool"`
	Attach      string            `json:"attach"`
	Format      string            `json:"format"`
	Intercepted map[string]uint64 `json:"intercepted"`
	Saved       uint64            `json:"saved"`
	Lost        lost              `json:"lost"`
	Unavailable map[string]string `json:"unavailable"`
	Syscalls    map[string]uint64 `json:"syscalls"`
	Bytes       int64             `json:"bytes"`
	Versions    map[string]string `json:"versions"`
	TimesNs     times             `json:"times_ns"`
	Error       *string           `json:"error"`
}

func describe(r *run) *summary {
	s := &summary{
		Contract:    2,
		Setup:       setup,
		Tool:        r.options.tool,
		Attach:      r.options.attach,
		Format:      r.options.format,
		Intercepted: r.intercepted,
		Saved:       r.output.saved,
		Lost:        lost{RingFull: r.ringFull, MapFull: r.mapFull, OutputError: r.output.lost},
		Unavailable: map[string]string{},
		Bytes:       r.sink.bytes,
		Versions:    versions(),
		TimesNs:     times{Start: r.startNs, Stop: r.stopNs, Drained: r.drainedNs},
	}
	if r.recursionUnknown {
		s.Unavailable["recursion"] = noRecursion
	} else {
		s.Lost.Recursion = &r.recursion
	}
	if r.missedUnknown {
		s.Unavailable["missed"] = noMissed
	} else {
		s.Lost.Missed = &r.missed
	}
	if r.options.tool == toolSyscount {
		s.Syscalls = make(map[string]uint64)
		for _, call := range r.syscalls {
			s.Syscalls[strconv.FormatUint(call.number, 10)] = call.count
		}
	}
	if r.readyNs != 0 {
		s.TimesNs.Ready = &r.readyNs
	}
	if r.err != nil {
		message := r.err.Error()
		s.Error = &message
	}
	return s
}

// versions are those this executable was built of.
func versions() map[string]string {
	loaded := make(map[string]string)
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return loaded
	}
	loaded["go"] = strings.TrimPrefix(build.GoVersion, "go")
	for _, module := range build.Deps {
		if module.Path == library {
			loaded["ebpf-go"] = strings.TrimPrefix(module.Version, "v")
		}
	}
	return loaded
}
