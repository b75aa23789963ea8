package classify

import (
	"errors"
	"net"
	"syscall"
)

// ownNetwork reports that err came up before anything was sent, or on a
// connection that this program closed.
func ownNetwork(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && beforeSending(op.Op) {
		return true
	}
	// A refused connection is a dial's, even where only the number came through.
	return holds[*net.DNSError](err) || isAny(err, net.ErrClosed, syscall.ECONNREFUSED)
}

// beforeSending knows the operations of net.OpError in which the dependency had
// no part yet. net/http adds its own for proxies.
func beforeSending(op string) bool {
	switch op {
	case "dial", "proxyconnect", "socks connect", "listen", "accept":
		return true
	default:
		return false
	}
}
