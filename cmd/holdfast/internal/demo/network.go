package demo

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// A network is one replica's way to the downstream. It can be led elsewhere,
// which is how a replica's network breaks.
type network struct {
	url       string
	transport atomic.Pointer[http.Transport]
}

func newNetwork(downstream string) *network {
	n := &network{url: "http://" + downstream}
	n.transport.Store(transportVia(downstream))
	return n
}

// transportVia returns a transport that reaches every host at via. It knows no
// proxy: the environment's would not know loopback.
func transportVia(via string) *http.Transport {
	dialer := &net.Dialer{Timeout: time.Second}
	return &http.Transport{
		MaxIdleConnsPerHost: callers,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, via)
		},
	}
}

// reroute leads what follows to another address, on new connections.
func (n *network) reroute(via string) { n.transport.Swap(transportVia(via)).CloseIdleConnections() }

func (n *network) close() { n.transport.Load().CloseIdleConnections() }

// A request says who calls.
type request struct {
	replica int
	probe   bool
	epoch   uint64
}

// send makes one request. It is a POST, which the transport never sends twice by
// itself: one token, one arrival.
func (n *network) send(ctx context.Context, r request) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.url, http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set(headerReplica, strconv.Itoa(r.replica))
	req.Header.Set(headerEpoch, strconv.FormatUint(r.epoch, 10))
	if r.probe {
		req.Header.Set(headerProbe, "1")
	}
	resp, err := n.transport.Load().RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode >= http.StatusInternalServerError {
		return &statusError{resp.StatusCode}
	}
	return nil
}

// A statusError is an answer that is none. Package classify knows such errors by
// their method StatusCode.
type statusError struct{ code int }

func (e *statusError) Error() string { return fmt.Sprintf("the downstream answered %d", e.code) }

// StatusCode returns the HTTP status.
func (e *statusError) StatusCode() int { return e.code }
