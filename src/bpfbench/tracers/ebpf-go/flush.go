// SPDX-License-Identifier: Apache-2.0

//go:build giveback && flush

package main

import "github.com/cilium/ebpf/btf"

// Versions before 0.22 keep the kernel's BTF.
func init() {
	flushKernelTypes = btf.FlushKernelSpec
}
