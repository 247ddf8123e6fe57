// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"unsafe"

	"github.com/cilium/ebpf"
)

const (
	kindSlow = "slow"
	topLines = 10
	ops      = 2
)

// errBatch is for a batch that ended early without an error: version 0.17 drops those of maps per CPU.
var errBatch = errors.New("not all entries were read")

func loadFsProfileFor(o *options) (*ebpf.Collection, error) {
	spec, err := loadFsProfile()
	if err != nil {
		return nil, err
	}
	var specs fsProfileSpecs
	if err := spec.Assign(&specs); err != nil {
		return nil, err
	}
	if err := specs.TargetComm.Set(o.commField()); err != nil {
		return nil, err
	}
	specs.Events.MaxEntries = o.ringbufBytes

	choosePrograms(spec, o.attach)
	return ebpf.NewCollection(spec)
}

// fileLatency is a line of latencies: what all CPUs have of a file and op.
type fileLatency struct {
	key fsProfileFsKey
	sum fsProfileFsLatency
}

func (f *fileLatency) add(perCPU []fsProfileFsLatency) {
	for i := range perCPU {
		cpu := &perCPU[i]
		f.sum.Count += cpu.Count
		f.sum.Bytes += cpu.Bytes
		f.sum.TotalNs += cpu.TotalNs
		f.sum.MaxNs = max(f.sum.MaxNs, cpu.MaxNs)
		for slot, count := range cpu.Slots {
			f.sum.Slots[slot] += count
		}
		if f.sum.Name[0] == 0 {
			f.sum.Name = cpu.Name
		}
	}
}

func (f *fileLatency) appendText(to []byte) []byte {
	to = append(to, "latency\t"...)
	to = appendField(to, uint64(f.key.Dev))
	to = appendField(to, f.key.Inode)
	to = appendField(to, uint64(f.key.Op))
	to = appendField(to, f.sum.Count)
	to = appendField(to, f.sum.Bytes)
	to = appendField(to, f.sum.TotalNs)
	to = appendField(to, f.sum.MaxNs)
	to = appendStringField(to, (*[len(f.sum.Name)]byte)(unsafe.Pointer(&f.sum.Name))[:])
	for _, count := range f.sum.Slots {
		to = append(strconv.AppendUint(to, count, 10), ' ')
	}
	to[len(to)-1] = '\n'
	return to
}

func byFile(a, b fileLatency) int {
	return cmp.Or(cmp.Compare(a.key.Dev, b.key.Dev), cmp.Compare(a.key.Inode, b.key.Inode), cmp.Compare(a.key.Op, b.key.Op))
}

// readBatch reads all entries of a hash in one call, for which there is room, and returns how many there are.
func readBatch[K, V any](hash *ebpf.Map, keys []K, values []V) (int, error) {
	var cursor ebpf.MapBatchCursor

	switch count, err := hash.BatchLookup(&cursor, keys, values, nil); {
	case errors.Is(err, ebpf.ErrKeyNotExist): // that was the last of them
		return count, nil
	case err == nil && count < len(keys):
		return 0, errBatch
	default:
		return count, err
	}
}

// readLatencies returns those of the array and of the hash.
func readLatencies(other, latency *ebpf.Map) ([]fileLatency, error) {
	found := make([]fileLatency, ops, ops+latency.MaxEntries())
	for op := range found {
		var perCPU []fsProfileFsLatency

		if err := other.Lookup(uint32(op), &perCPU); err != nil {
			return nil, err
		}
		found[op].key.Op = uint32(op)
		found[op].add(perCPU)
	}
	cpus := ebpf.MustPossibleCPU()
	keys := make([]fsProfileFsKey, latency.MaxEntries())
	values := make([]fsProfileFsLatency, len(keys)*cpus)
	count, err := readBatch(latency, keys, values)
	for i, key := range keys[:count] {
		found = append(found, fileLatency{key: key})
		found[ops+i].add(values[i*cpus:][:cpus])
	}
	return found, err
}

func (r *run) saveLatencies(other, latency *ebpf.Map) {
	found, err := readLatencies(other, latency)
	if err != nil {
		r.fail("cannot read the latencies: %w", err)
		return
	}
	slices.SortFunc(found, byFile)
	var line []byte
	for i := range found {
		if found[i].sum.Count > 0 {
			line = found[i].appendText(line[:0])
			r.output.line(line, found[i].sum.Count)
		}
	}
}

// fileUse is a line of the most used files.
type fileUse struct {
	file fsProfileFsFile
	use  fsProfileFsUse
}

func (f *fileUse) appendText(to []byte) []byte {
	to = append(to, "top\t"...)
	to = appendField(to, uint64(f.file.Dev))
	to = appendField(to, f.file.Inode)
	to = appendField(to, f.use.Calls)
	return append(strconv.AppendUint(to, f.use.Bytes, 10), '\n')
}

func byCalls(a, b fileUse) int {
	return cmp.Or(
		cmp.Compare(b.use.Calls, a.use.Calls), cmp.Compare(a.file.Dev, b.file.Dev), cmp.Compare(a.file.Inode, b.file.Inode))
}

func (r *run) saveTop(top *ebpf.Map) {
	files := make([]fsProfileFsFile, top.MaxEntries())
	uses := make([]fsProfileFsUse, len(files))
	count, err := readBatch(top, files, uses)
	if err != nil {
		r.fail("cannot read the most used files: %w", err)
		return
	}
	found := make([]fileUse, count)
	for i := range found {
		found[i] = fileUse{files[i], uses[i]}
	}
	slices.SortFunc(found, byCalls)
	var line []byte
	for _, f := range found[:min(count, topLines)] {
		line = f.appendText(line[:0])
		r.output.line(line, 0)
	}
}

func (r *run) countFsProfile(counters *ebpf.Map) {
	var perCPU []fsProfileFsCounters

	if err := counters.Lookup(uint32(0), &perCPU); err != nil {
		r.fail("cannot read the counters: %w", err)
	}
	for _, c := range perCPU {
		r.intercepted[kindRead] += c.Intercepted[0]
		r.intercepted[kindWrite] += c.Intercepted[1]
		r.intercepted[kindSlow] += c.Slow
		r.ringFull += c.RingFull
		r.mapFull += c.MapFull
	}
}

// fsProfile saves slow calls as they come, and takes one look at the maps at the end.
func (r *run) fsProfile() {
	r.intercepted = map[string]uint64{kindRead: 0, kindWrite: 0, kindSlow: 0}
	objects, err := loadFsProfileFor(r.options)
	if err != nil {
		r.fail("cannot load: %w", err)
		return
	}
	defer objects.Close()
	r.noteLoaded()

	r.throughRings(objects, []*ebpf.Map{objects.Maps["events"]}, (*output).slowText, func() {
		r.saveLatencies(objects.Maps["other"], objects.Maps["latency"])
		r.saveTop(objects.Maps["top"])
	})
	r.countFsProfile(objects.Maps["counters"])
}
