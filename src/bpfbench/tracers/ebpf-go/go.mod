module bpfbench/tracers/ebpf-go

go 1.24.0

tool github.com/cilium/ebpf/cmd/bpf2go

require (
	github.com/cilium/ebpf v0.17.3
	golang.org/x/sys v0.30.0
)
