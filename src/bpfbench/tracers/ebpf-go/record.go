// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/binary"
	"strconv"
)

// An event as in ../common/rw_event.h, without its payload. Go has no packed structs, so the fields are read by offset.
const (
	eventBytes      = 156
	commAt          = 72
	nameAt          = 88
	payloadLengthAt = 152
)

// 13 integers of at most 20 characters, comm and name, each with a separator.
const textEventBytes = 13*21 + (nameAt - commAt) + (payloadLengthAt - nameAt) + 2

var hexByte = hexBytes() // two digits, a space, and one more to make it a word

func hexBytes() (table [256][4]byte) {
	const digits = "0123456789abcdef"
	for i := range table {
		table[i] = [4]byte{digits[i>>4], digits[i&15], ' '}
	}
	return table
}

type event [eventBytes]byte

func (e *event) u64(at int) uint64 { return binary.LittleEndian.Uint64(e[at : at+8]) }

func (e *event) u32(at int) uint64 { return uint64(binary.LittleEndian.Uint32(e[at : at+4])) }

func (e *event) payloadLength() int { return int(e.u32(payloadLengthAt)) }

func appendField(to []byte, value uint64) []byte {
	return append(strconv.AppendUint(to, value, 10), '\t')
}

func appendStringField(to []byte, field []byte) []byte {
	if end := bytes.IndexByte(field, 0); end >= 0 {
		field = field[:end]
	}
	return append(append(to, field...), '\t')
}

func (e *event) appendText(to []byte) []byte {
	to = appendField(to, e.u64(0))  // enter_ns
	to = appendField(to, e.u64(8))  // exit_ns
	to = appendField(to, e.u64(16)) // offset
	to = appendField(to, e.u64(24)) // count
	to = append(strconv.AppendInt(to, int64(e.u64(32)), 10), '\t')
	to = appendField(to, e.u64(40)) // inode
	to = appendField(to, e.u32(48)) // dev
	to = appendField(to, e.u32(52)) // pid
	to = appendField(to, e.u32(56)) // tid
	to = appendField(to, e.u32(60)) // op
	to = appendField(to, e.u32(64)) // flags
	to = appendField(to, e.u32(68)) // uid
	to = appendStringField(to, e[commAt:nameAt])
	to = appendStringField(to, e[nameAt:payloadLengthAt])
	return strconv.AppendUint(to, e.u32(payloadLengthAt), 10)
}

// putPayload copies words of four bytes in steps of three: the one byte too many is overwritten by what follows. It
// takes four steps at a time, so that one check of the bounds serves them all; with one for each it is half as fast.
func putPayload(to, payload []byte) {
	for len(payload) >= 4 {
		words, from := (*[13]byte)(to), (*[4]byte)(payload)
		*(*[4]byte)(words[0:]) = hexByte[from[0]]
		*(*[4]byte)(words[3:]) = hexByte[from[1]]
		*(*[4]byte)(words[6:]) = hexByte[from[2]]
		*(*[4]byte)(words[9:]) = hexByte[from[3]]
		to, payload = to[12:], payload[4:]
	}
	for _, b := range payload {
		*(*[4]byte)(to) = hexByte[b]
		to = to[3:]
	}
}

// A sample is an event with its payload. payloadBytes is 0 for rw-tracer, which has none.

func (o *output) eventText(sample []byte, payloadBytes int) {
	var space [textEventBytes]byte
	e := (*event)(sample)
	head := e.appendText(space[:0])
	length := e.payloadLength()
	size := len(head) + 1
	if payloadBytes > 0 {
		size += 1 + max(3*length-1, 0)
	}
	to := o.begin(size)

	copy(to, head)
	if payloadBytes > 0 {
		to[len(head)] = '\t'
		putPayload(to[len(head)+1:], sample[eventBytes:][:length])
	}
	to[size-1] = '\n'
	o.end(size, 1)
}

// [snippet format]

func (o *output) eventBinary(sample []byte, payloadBytes int) {
	size := eventBytes + payloadBytes
	filled := eventBytes + (*event)(sample).payloadLength()
	to := o.begin(size)

	copy(to, sample[:filled])
	clear(to[filled:size])
	o.end(size, 1)
}

// [end format]

// A slow call as in ../common/fs_profile.h, behind which are its frames.
const slowBytes = 48

// Its kind, 9 integers, and its frames, each on a line.
const textSlowBytes = 5 + 9*21 + 32*17

type slow []byte

func (s slow) u64(at int) uint64 { return binary.LittleEndian.Uint64(s[at:]) }

func (s slow) u32(at int) uint64 { return uint64(binary.LittleEndian.Uint32(s[at:])) }

func (o *output) slowText(sample []byte) {
	var space [textSlowBytes]byte
	s, frames := slow(sample), (len(sample)-slowBytes)/8
	to := append(space[:0], "slow\t"...)
	to = appendField(to, s.u64(0))  // enter_ns
	to = appendField(to, s.u64(8))  // exit_ns
	to = appendField(to, s.u32(32)) // dev
	to = appendField(to, s.u64(24)) // inode
	to = appendField(to, s.u32(36)) // pid
	to = appendField(to, s.u32(40)) // tid
	to = appendField(to, s.u32(44)) // op
	to = append(strconv.AppendInt(to, int64(s.u64(16)), 10), '\t')
	to = append(strconv.AppendInt(to, int64(frames), 10), '\n')
	for i := range frames {
		to = append(strconv.AppendUint(to, s.u64(slowBytes+8*i), 16), '\n')
	}
	o.line(to, 1)
}

// line puts one or more lines into the output that stand for so many events.
func (o *output) line(line []byte, events uint64) {
	copy(o.begin(len(line)), line)
	o.end(len(line), events)
}

func (o *output) countText(number, count uint64) {
	var space [2 * 21]byte
	line := append(strconv.AppendUint(appendField(space[:0], number), count, 10), '\n')

	o.line(line, count)
}

func (o *output) countBinary(number, count uint64) {
	const size = 16
	to := o.begin(size)

	binary.LittleEndian.PutUint64(to, number)
	binary.LittleEndian.PutUint64(to[8:], count)
	o.end(size, count)
}
