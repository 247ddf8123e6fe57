// SPDX-License-Identifier: Apache-2.0

//go:build flush

package main

import "github.com/cilium/ebpf/btf"

func init() {
	flushKernelTypes = btf.FlushKernelSpec
}
