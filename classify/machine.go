package classify

import (
	"io/fs"
	"os"
	"syscall"
)

// ownMachine reports trouble with files, or that this machine has run out of
// something or has no way to the other.
func ownMachine(err error) bool {
	if holds[*fs.PathError](err) || holds[*os.LinkError](err) {
		return true
	}
	return isAny(err,
		syscall.EMFILE, syscall.ENFILE, // too many open files: in this process, on this machine
		syscall.ENOBUFS, syscall.ENOMEM,
		syscall.EADDRNOTAVAIL, syscall.EADDRINUSE, // no free port to call from
		syscall.ENETDOWN, syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.EHOSTDOWN,
		syscall.EACCES, syscall.EPERM, // a firewall of this machine's
		syscall.ENOSPC, syscall.EROFS,
	)
}
