//go:build !linux

package redisserver

import "syscall"

// dieWithParent does nothing here: a server whose parent crashed must be ended
// by hand.
func dieWithParent() *syscall.SysProcAttr {
	return nil
}
