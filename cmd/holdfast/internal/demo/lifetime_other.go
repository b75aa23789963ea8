//go:build !linux

package demo

import "syscall"

// dieWithParent leaves it to the replica, which ends when its input does.
func dieWithParent() *syscall.SysProcAttr { return nil }
