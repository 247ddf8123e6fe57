// SPDX-License-Identifier: Apache-2.0

package main

import "os"

const (
	outputBytes   = 65536
	outputRecords = 4096 // more than fit: no tool writes so many so short
)

// output is the output file behind one buffer, which knows at any time how many events are wholly in the file.
type output struct {
	file    *os.File
	err     error  // what went wrong; nothing is written after that
	saved   uint64 // events wholly in the file
	lost    uint64 // events given, but not in the file because of the error
	bytes   int64  // size of the records in the file
	used    int
	records int
	record  [outputRecords]struct {
		end    int
		events uint64
	}
	buffer [outputBytes + 1]byte // text may be written one byte too far: see putPayload
}

func openOutput(path string) (*output, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return nil, err
	}
	return &output{file: file}, nil
}

// begin returns room for the next record, which is of size bytes, at most outputBytes.
func (o *output) begin(size int) []byte {
	if o.used+size > outputBytes || o.records == outputRecords {
		o.flush()
	}
	return o.buffer[o.used:]
}

// end ends that record, and tells how many events it stands for.
func (o *output) end(size int, events uint64) {
	if o.err != nil {
		o.lost += events
		return
	}
	o.used += size
	o.record[o.records].end = o.used
	o.record[o.records].events = events
	o.records++
}

func (o *output) flush() {
	if o.used > 0 {
		written, err := o.file.Write(o.buffer[:o.used])
		o.err = err
		o.account(written)
	}
	o.used = 0
	o.records = 0
}

// account takes the whole records of what was written as saved; a part of one is cut off again.
func (o *output) account(written int) {
	whole := 0
	for _, record := range o.record[:o.records] {
		if record.end <= written {
			whole = record.end
			o.saved += record.events
		} else {
			o.lost += record.events
		}
	}
	o.bytes += int64(whole)
	if o.err != nil {
		_ = o.file.Truncate(o.bytes) // a device or a pipe cannot be cut, and need not be
	}
}

func (o *output) close() {
	if err := o.file.Close(); o.err == nil {
		o.err = err
	}
}
