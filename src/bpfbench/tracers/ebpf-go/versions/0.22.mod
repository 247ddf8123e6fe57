module bpfbench/tracers/ebpf-go

go 1.25.0

toolchain go1.25.9

tool github.com/cilium/ebpf/cmd/bpf2go

require (
	github.com/cilium/ebpf v0.22.0
	golang.org/x/sys v0.43.0
)
