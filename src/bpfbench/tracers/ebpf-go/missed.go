// SPDX-License-Identifier: Apache-2.0

package main

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// kprobeLinkInfo is struct bpf_link_info of linux/bpf.h for a kprobe, as far as it matters.
type kprobeLinkInfo struct {
	_      [48]byte
	missed uint64
}

// countMissed adds how often the kernel missed a probe, be it for want of a kretprobe instance. It tells only while the
// probe is attached. Before 6.7 what it tells ends before that number, and before 5.15 there is no link to ask.
func (r *run) countMissed(a attachment) {
	if r.options.attach != attachKprobe {
		return
	}
	missed, ok := missedByKernel(a)
	r.missedUnknown = r.missedUnknown || !ok
	r.missed += missed
	r.intercepted[a.kind] += missed
}

// missedByKernel asks the kernel itself: the library has the number too, but versions of it disagree where
// (KprobeInfo.Missed, once a method and later a field), and none says whether the kernel knew it.
func missedByKernel(a attachment) (missed uint64, ok bool) {
	link, ok := a.link.(interface{ FD() int })
	if !ok {
		return 0, false
	}
	var info kprobeLinkInfo
	query := struct { // of union bpf_attr
		fd, size uint32
		info     *kprobeLinkInfo
	}{uint32(link.FD()), uint32(unsafe.Sizeof(info)), &info}
	_, _, errno := unix.Syscall(
		unix.SYS_BPF, unix.BPF_OBJ_GET_INFO_BY_FD, uintptr(unsafe.Pointer(&query)), unsafe.Sizeof(query))
	return info.missed, errno == 0 && query.size == uint32(unsafe.Sizeof(info))
}
