// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"sync"
	"sync/atomic"
)

const (
	recordMost  = 65536 // no record is longer, of whichever tool
	recordLeast = 16    // none is shorter: as many of these as fit into a buffer are known apart
)

// sink is the output file, into which each consumer writes from a buffer of its own.
type sink struct {
	failed  atomic.Bool // nothing is written after that
	onError func()
	lock    sync.Mutex // of what follows
	file    *os.File
	err     error // what went wrong
	bytes   int64 // size of the records in the file
}

func openSink(path string, onError func()) (*sink, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return nil, err
	}
	return &sink{file: file, onError: onError}, nil
}

// close is for when all is flushed.
func (s *sink) close() {
	if err := s.file.Close(); s.err == nil {
		s.err = err
	}
}

// output is a buffer before the sink, which knows at any time how many of its events are wholly in the file.
type output struct {
	sink    *sink
	saved   uint64 // events wholly in the file
	lost    uint64 // events given, but not in the file because of an error
	limit   int    // bytes that are collected before they are written
	used    int
	records int
	record  []recordEnd
	buffer  []byte
}

type recordEnd struct {
	end    int
	events uint64
}

// newOutput takes no memory for what is never used of it.
func newOutput(sink *sink, limit int) *output {
	return &output{
		sink:   sink,
		limit:  limit,
		record: make([]recordEnd, limit/recordLeast),
		buffer: make([]byte, max(limit, recordMost)+1), // text may be written one byte too far: see putPayload
	}
}

// begin returns room for the next record, which is of size bytes, at most recordMost. One that is longer than the limit
// is written by itself.
func (o *output) begin(size int) []byte {
	// [snippet output_bytes]
	if o.used+size > o.limit || o.records == len(o.record) {
		o.flush()
	}
	return o.buffer[o.used:]
	// [end output_bytes]
}

// end ends that record, and tells how many events it stands for.
func (o *output) end(size int, events uint64) {
	if o.sink.failed.Load() {
		o.lost += events
		return
	}
	o.used += size
	o.record[o.records] = recordEnd{o.used, events}
	o.records++
}

func (o *output) flush() {
	if o.used > 0 {
		o.write()
	}
	o.used = 0
	o.records = 0
}

func (o *output) write() {
	s := o.sink
	s.lock.Lock()
	defer s.lock.Unlock()

	if s.err != nil {
		o.account(0)
		return
	}
	written, err := s.file.Write(o.buffer[:o.used])
	s.bytes += int64(o.account(written))
	if err != nil {
		s.err = err
		s.failed.Store(true)
		_ = s.file.Truncate(s.bytes) // a device or a pipe cannot be cut, and need not be
		s.onError()
	}
}

// account takes the whole records of what was written as saved, and returns their size.
func (o *output) account(written int) (whole int) {
	for _, record := range o.record[:o.records] {
		if record.end <= written {
			whole = record.end
			o.saved += record.events
		} else {
			o.lost += record.events
		}
	}
	return whole
}
