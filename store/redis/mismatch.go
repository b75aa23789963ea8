package redisstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// errMismatch: what is wrong does not mend itself, but looks as if it might. A
// server that wants TLS hangs up on who speaks none; and one without TLS waits
// for the end of what it takes for a line, until the client's time is over.
var errMismatch = errors.New("one end speaks TLS, and the other does not")

const (
	mismatchLasts = 10 * time.Second      // how long one that was found is believed
	mismatchEvery = time.Second           // how often one is looked for at most
	mismatchTime  = 50 * time.Millisecond // for how long, after the call's own time
)

// A mismatch is what is known of whether both ends speak TLS.
type mismatch struct{ last atomic.Pointer[finding] }

type finding struct {
	at    time.Time
	found bool
}

// explained is err, or says that it comes from a mismatch. It looks only when err
// may be that, not often, and not for long: once the call has failed. It can tell
// of a plain client only, which has one server.
func (l *link) explained(ctx context.Context, err error) error {
	if l.plain == nil {
		return err
	}
	options := l.plain.Options()
	var looks func(context.Context) bool
	switch {
	case options.TLSConfig == nil && hungUp(err):
		looks = func(ctx context.Context) bool { return speaksTLS(ctx, options.Dialer, options.Network, options.Addr) }
	case options.TLSConfig != nil && (timedOut(err) || errors.Is(err, context.DeadlineExceeded)):
		looks = func(ctx context.Context) bool { return speaksPlain(ctx, options.Network, options.Addr) }
	default:
		return err
	}
	if l.mismatch.holds(ctx, looks) {
		return fmt.Errorf("%w: %w", errMismatch, err)
	}
	return err
}

// holds looks again when the last finding is old. Who comes while another looks
// goes by the last one.
func (m *mismatch) holds(ctx context.Context, looks func(context.Context) bool) bool {
	last, found := m.last.Load(), false
	if last != nil {
		age := now().Sub(last.at)
		if found = last.found; age < mismatchEvery || found && age < mismatchLasts {
			return found
		}
	}
	next := &finding{at: now(), found: found}
	if !m.last.CompareAndSwap(last, next) {
		return found
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), mismatchTime) // the call's may have ended
	defer cancel()
	found = looks(ctx)
	m.last.Store(&finding{at: now(), found: found})
	return found
}

func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

type dialer func(ctx context.Context, network, addr string) (net.Conn, error)

// speaksTLS reports whether the server answers as one with TLS does, be it that
// it refuses. Nothing is sent to it but a greeting, so nobody need be believed.
func speaksTLS(ctx context.Context, dial dialer, network, addr string) bool {
	conn, err := dial(ctx, network, addr)
	if err != nil {
		return false
	}
	defer conn.Close()
	err = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx) //nolint:gosec // see above
	said, alert := errors.AsType[*net.OpError](err)
	return err == nil || alert && said.Op == "remote error"
}

// speaksPlain reports whether the server answers without TLS.
func speaksPlain(ctx context.Context, network, addr string) bool {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return false
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	var first [1]byte
	_, err = conn.Read(first[:])
	return err == nil && (first[0] == '+' || first[0] == '-')
}
