package demo

import "syscall"

// dieWithParent has the kernel kill a replica when this process dies, however it
// dies.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
