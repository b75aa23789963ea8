package guardhttp

import (
	"bufio"
	"net"
	"net/http"
)

// A flushing exchange is one whose writer can flush.
type flushing struct{ *exchange }

// Flush sends the status, and what was written so far, to the client.
func (f flushing) Flush() { _ = f.FlushError() }

// A hijackable exchange is one whose connection can be taken over, too.
type hijackable struct{ flushing }

// Hijack hands over the connection: what is said on it is not looked at.
func (h hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err == nil {
		h.taken = true
	}
	return conn, buffered, err
}

// writer is what the handler gets: it can flush, and be taken over, where the server's
// writer can.
func (x *exchange) writer() http.ResponseWriter {
	_, flushes := x.ResponseWriter.(http.Flusher)
	_, hijacks := x.ResponseWriter.(http.Hijacker)
	switch {
	case flushes && hijacks:
		return hijackable{flushing{x}}
	case flushes:
		return flushing{x}
	default:
		return x
	}
}
