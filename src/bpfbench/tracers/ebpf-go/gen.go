// SPDX-License-Identifier: Apache-2.0

package main

// The flags of the compiler are in ./build. Types are named because others, with pointers, have no equal in Go.
//go:generate go tool bpf2go -target bpfel -no-global-types -type rw_counters rw ../common/rw.bpf.c
//go:generate go tool bpf2go -target bpfel -no-global-types rwKnobs ../common/rw_knobs.bpf.c
//go:generate go tool bpf2go -target bpfel -no-global-types rwPerf ../common/rw_perf.bpf.c
//go:generate go tool bpf2go -target bpfel -no-global-types syscount ../common/syscount.bpf.c
//go:generate go tool bpf2go -target bpfel -no-global-types -type fs_counters -type fs_key -type fs_latency -type fs_file -type fs_use fsProfile ../common/fs_profile.bpf.c
