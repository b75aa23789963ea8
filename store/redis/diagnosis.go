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

	"github.com/redis/go-redis/v9"
)

// errMismatch: what is wrong does not mend itself, but looks as if it might. A
// server that wants TLS hangs up on who speaks none; and one without TLS waits
// for the end of what it takes for a line, until the client's time is over.
var errMismatch = errors.New("one end speaks TLS, and the other does not")

const (
	diagnosisLasts = 3 * time.Second // how long one is believed
	diagnoseEvery  = time.Second     // how often one is made at most
	diagnosisTime  = time.Second     // how long that may take; a client's own dialer may go by its DialTimeout
)

// A diagnosis is what is known of why calls fail. Who calls only learns that time
// ran out: a client dials beside its calls, and tries again on every error, also
// on a certificate that it cannot believe.
type diagnosis struct {
	last   atomic.Pointer[finding]
	making atomic.Bool
}

type finding struct {
	at  time.Time
	why error // nil: a server is there
}

// explained is err, with its cause where that is known. It lets it be looked for,
// beside the call, when err may come from a connection that cannot be made. It
// can tell of a plain client only, which has one server.
func (l *link) explained(ctx context.Context, err error) error {
	if l.plain == nil || !timedOut(err) && !errors.Is(err, context.DeadlineExceeded) && !hungUp(err) {
		return err
	}
	why := l.diagnosis.cause(func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), diagnosisTime) // the call's may have ended
		defer cancel()
		return diagnose(ctx, l.plain.Options())
	})
	if why != nil {
		return fmt.Errorf("%w: %w", err, why)
	}
	return err
}

// cause is what was found last, unless that is old.
func (d *diagnosis) cause(look func() error) error {
	last, age := d.last.Load(), time.Duration(0)
	if last != nil {
		age = now().Sub(last.at)
	}
	if (last == nil || age >= diagnoseEvery) && d.making.CompareAndSwap(false, true) {
		go func() {
			defer d.making.Store(false)
			why := look()
			d.last.Store(&finding{now(), why})
		}()
	}
	if last == nil || age >= diagnosisLasts {
		return nil
	}
	return last.why
}

// diagnose makes a connection as the client does, and says why that cannot work.
func diagnose(ctx context.Context, o *redis.Options) error {
	if o.TLSConfig != nil && speaksPlain(ctx, o.Network, o.Addr) {
		return errMismatch
	}
	conn, err := o.Dialer(ctx, o.Network, o.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = answer(ctx, conn)
	switch {
	case err == nil:
		return nil
	case o.TLSConfig == nil && hungUp(err) && speaksTLS(ctx, o.Dialer, o.Network, o.Addr):
		return errMismatch
	case misconfigured(err): // that a certificate is missing is said after the handshake
		return err
	default:
		return nil
	}
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
	first, err := answer(ctx, conn)
	return err == nil && (first == '+' || first == '-')
}

// answer is the first byte that the server says when it is spoken to.
func answer(ctx context.Context, conn net.Conn) (byte, error) {
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return 0, err
	}
	var first [1]byte
	_, err := conn.Read(first[:])
	return first[0], err
}
