// SPDX-License-Identifier: Apache-2.0

package main

// The flags of the compiler are in ./build. The one type is named because another, with pointers, has no equal in Go.
//go:generate go tool bpf2go -target bpfel -no-global-types -type rw_counters rw ../common/rw.bpf.c
//go:generate go tool bpf2go -target bpfel -no-global-types syscount ../common/syscount.bpf.c
