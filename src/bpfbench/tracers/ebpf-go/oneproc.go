// SPDX-License-Identifier: Apache-2.0

//go:build oneproc

package main

import "runtime"

// User space is to be single-threaded. The runtime has its threads all the same, but one at a time runs Go code.
func init() {
	runtime.GOMAXPROCS(1)
}
