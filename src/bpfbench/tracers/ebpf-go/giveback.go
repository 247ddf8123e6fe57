// SPDX-License-Identifier: Apache-2.0

//go:build giveback

package main

import "runtime/debug"

// flushKernelTypes makes the library forget the kernel's BTF, where it keeps it: see flush.go.
var flushKernelTypes = func() {}

// What only loading needed is most of it that BTF, which libbpf frees too. Else it would stay until the garbage collector
// next runs: there being no garbage from now on, that is after two minutes.
func init() {
	giveBack = func() {
		flushKernelTypes()
		debug.FreeOSMemory()
	}
}
