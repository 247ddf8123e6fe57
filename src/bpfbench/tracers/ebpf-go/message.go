// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"unicode"
)

// say prints the one line the tracer may print on stderr.
func say(message string) {
	line := strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, message)
	fmt.Fprintf(os.Stderr, "tracer: %s\n", line)
}

// reason is what the kernel gave as one, where err, which may name a file too, has it.
func reason(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
