// Package clock asks the network, and another program.
package clock

import (
	"net"
	"os/exec"
)

// Port is one.
func Port() int { return (&net.TCPAddr{}).Port + len((&exec.Cmd{}).Args) }
