package classify_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/classify"
	"github.com/holdfast-go/holdfast/domain"
)

// TestDefault makes each error happen and asks whose trouble it is, as it comes
// and wrapped.
func TestDefault(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  func(t *testing.T) error
		want domain.Outcome
	}{
		{"dial, refused", refusedDial, domain.LocalFailure},
		{"dial, refused, through net/http", refusedGet, domain.LocalFailure},
		{"dial, through a proxy that is not there", proxyGone, domain.LocalFailure},
		{"dial, past its deadline", dialTooLate, domain.LocalFailure},
		{"DNS that does not answer", lookupFails, domain.LocalFailure},
		{"DNS, through net/http", getWithoutDNS, domain.LocalFailure},
		{"a listener of our own", listenTwice, domain.LocalFailure},
		{"a connection that we closed", readAfterClose, domain.LocalFailure},

		{"TLS, an authority we do not know", unknownAuthority, domain.LocalFailure},
		{"TLS, another name", otherHost, domain.LocalFailure},
		{"TLS, a peer that does not speak it", tlsToPlain, domain.LocalFailure},
		{"TLS, the same through net/http", httpsToPlain, domain.LocalFailure},
		{"TLS, no version in common", versionAlert, domain.LocalFailure},
		{"TLS, a handshake that takes too long", handshakeTooLate, domain.LocalFailure},

		{"a file that is not there", func(*testing.T) error { _, err := os.Open("/nowhere/at/all"); return err }, domain.LocalFailure},
		{"a rename of one", func(*testing.T) error { return os.Rename("/nowhere/at/all", "/nowhere") }, domain.LocalFailure},
		{"a socket file that is not there", socketGone, domain.LocalFailure},
		{"no files left to open", systemCall("read", syscall.EMFILE), domain.LocalFailure},
		{"no route", systemCall("write", syscall.EHOSTUNREACH), domain.LocalFailure},
		{"a firewall of ours", systemCall("write", syscall.EPERM), domain.LocalFailure},
		{"no port to call from", systemCall("connect", syscall.EADDRNOTAVAIL), domain.LocalFailure},

		{"an address that is none", badAddress, domain.LocalFailure},
		{"more than we let in", readTooMuch, domain.LocalFailure},
		{"a transaction that is over", txDone, domain.LocalFailure},
		{"a database connection that we gave back", connDone, domain.LocalFailure},

		{"reset by peer", resetByPeer, domain.Failure},
		{"closed before it answered", closedEarly, domain.Failure},
		{"closed in the middle of its answer", closedMidway, domain.Failure},
		{"no answer in time, by the transport", headerTooLate, domain.Failure},
		{"no answer in time, by the client", clientTooLate, domain.Failure},
		{"no answer in time, by the connection", readTooLate, domain.Failure},
		{"an answer that makes no sense", gibberish, domain.Failure},
		{"a broken database connection", badConn, domain.Failure},
		{"no rows", noRows, domain.Success},

		{"status 500", status(500), domain.Failure},
		{"status 503", status(503), domain.Failure},
		{"status 404", status(404), domain.Success},
		{"status 429", status(429), domain.Ignored},
		{"a status that is none", status(0), domain.Failure},
		{"status 502 by another name", func(*testing.T) error { return httpStatusError(502) }, domain.Failure},

		{"nothing wrong", func(*testing.T) error { return nil }, domain.Success},
		{"any error", func(*testing.T) error { return errors.New("any") }, domain.Failure},
		{"a cancellation", func(*testing.T) error { return context.Canceled }, domain.Ignored},
		{"a cancelled dial", cancelledDial, domain.Ignored},
		{"a deadline", func(*testing.T) error { return context.DeadlineExceeded }, domain.Failure},
		{"a refusal", func(*testing.T) error { return &domain.RateLimitedError{} }, domain.Ignored},
		{"a mark wins", markedDial, domain.Ignored},
		{"a mark inside wins", markedReset, domain.LocalFailure},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.err(t)
			if err == nil && tt.want != domain.Success {
				t.Fatal("the error did not happen")
			}
			if got := classify.Default(err); got != tt.want {
				t.Errorf("Default(%v) = %s; want %s\n%s", err, got, tt.want, tree(err))
			}
			if err == nil {
				return
			}
			if got := classify.Default(fmt.Errorf("loading the cart: %w", err)); got != tt.want {
				t.Errorf("wrapped: %s; want %s", got, tt.want)
			}
		})
	}
}

// tree shows the types of which err is made.
func tree(err error) string {
	var b strings.Builder
	for ; err != nil; err = errors.Unwrap(err) {
		fmt.Fprintf(&b, "\t%T: %v\n", err, err)
	}
	return b.String()
}

// nobody returns an address on which nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	l := listen(t)
	addr := l.Addr().String()
	_ = l.Close()
	return addr
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// peer accepts one connection after the other and does something to each.
func peer(t *testing.T, with func(*net.TCPConn)) string {
	t.Helper()
	l := listen(t)
	done := make(chan struct{})
	t.Cleanup(func() { _ = l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			tcp, ok := c.(*net.TCPConn)
			if !ok {
				return
			}
			with(tcp)
		}
	}()
	return l.Addr().String()
}

// silence keeps connections open until the test ends and says nothing.
func silence(t *testing.T) string {
	t.Helper()
	return peer(t, func(c *net.TCPConn) { t.Cleanup(func() { _ = c.Close() }) })
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// get asks url through a client of its own and returns what went wrong, while
// reading the answer too.
func get(t *testing.T, url string, transport *http.Transport) error {
	t.Helper()
	defer transport.CloseIdleConnections()
	return getWith(t, url, &http.Client{Transport: transport})
}

func getWith(t *testing.T, url string, client *http.Client) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	_, err = io.Copy(io.Discard, res.Body)
	return err
}

func refusedDial(t *testing.T) error {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", nobody(t))
	if err == nil {
		_ = c.Close()
	}
	return err
}

func refusedGet(t *testing.T) error {
	t.Helper()
	return get(t, "http://"+nobody(t), &http.Transport{})
}

func proxyGone(t *testing.T) error {
	t.Helper()
	proxy := &url.URL{Scheme: "http", Host: nobody(t)}
	return get(t, "http://example.org", &http.Transport{Proxy: http.ProxyURL(proxy)})
}

func dialTooLate(t *testing.T) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), -1)
	defer cancel()
	_, err := (&net.Dialer{}).DialContext(ctx, "tcp", silence(t))
	return err
}

func cancelledDial(t *testing.T) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := (&net.Dialer{}).DialContext(ctx, "tcp", silence(t))
	return err
}

// deaf is a resolver whose servers cannot be reached.
func deaf(t *testing.T) *net.Resolver {
	t.Helper()
	refused := refusedDial(t)
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, refused
	}}
}

func lookupFails(t *testing.T) error {
	t.Helper()
	_, err := deaf(t).LookupHost(t.Context(), "payments.example.org")
	return err
}

func getWithoutDNS(t *testing.T) error {
	t.Helper()
	dialer := &net.Dialer{Resolver: deaf(t)}
	return get(t, "http://payments.example.org", &http.Transport{DialContext: dialer.DialContext})
}

func listenTwice(t *testing.T) error {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", listen(t).Addr().String())
	if err == nil {
		_ = l.Close()
	}
	return err
}

func readAfterClose(t *testing.T) error {
	t.Helper()
	c := dial(t, silence(t))
	_ = c.Close()
	_, err := c.Read(make([]byte, 1))
	return err
}

// secure is a server with a certificate that only its own client trusts.
func secure(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = discard()
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func unknownAuthority(t *testing.T) error {
	t.Helper()
	return get(t, secure(t).URL, &http.Transport{})
}

func otherHost(t *testing.T) error {
	t.Helper()
	s := secure(t)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return get(t, s.URL, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "other.example.net"}})
}

func plain(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = discard()
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func tlsToPlain(t *testing.T) error {
	t.Helper()
	c := tls.Client(dial(t, plain(t).Listener.Addr().String()), &tls.Config{ServerName: "example.com"})
	return c.HandshakeContext(t.Context())
}

func httpsToPlain(t *testing.T) error {
	t.Helper()
	return get(t, "https://"+plain(t).Listener.Addr().String(), &http.Transport{})
}

func versionAlert(t *testing.T) error {
	t.Helper()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = discard()
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	s.StartTLS()
	t.Cleanup(s.Close)
	return get(t, s.URL, &http.Transport{TLSClientConfig: &tls.Config{MaxVersion: tls.VersionTLS12}})
}

func handshakeTooLate(t *testing.T) error {
	t.Helper()
	return get(t, "https://"+silence(t), &http.Transport{TLSHandshakeTimeout: time.Millisecond})
}

func socketGone(t *testing.T) error {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "unix", filepath.Join(t.TempDir(), "none"))
	if err == nil {
		_ = c.Close()
	}
	return err
}

// systemCall is the error that package net makes of a number.
func systemCall(call string, number syscall.Errno) func(*testing.T) error {
	return func(*testing.T) error {
		return &net.OpError{Op: call, Net: "tcp", Err: os.NewSyscallError(call, number)}
	}
}

func resetByPeer(t *testing.T) error {
	t.Helper()
	c := dial(t, peer(t, func(c *net.TCPConn) {
		_, _ = c.Read(make([]byte, 1)) // so that the dial has succeeded
		_ = c.SetLinger(0)             // closing then resets
		_ = c.Close()
	}))
	if _, err := c.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	_, err := c.Read(make([]byte, 1))
	return err
}

func closedEarly(t *testing.T) error {
	t.Helper()
	return get(t, "http://"+peer(t, func(c *net.TCPConn) {
		_, _ = c.Read(make([]byte, 1024))
		_ = c.Close()
	}), &http.Transport{})
}

// says answers each request with the text and closes.
func says(t *testing.T, text string) error {
	t.Helper()
	return get(t, "http://"+peer(t, func(c *net.TCPConn) {
		_, _ = c.Read(make([]byte, 1024))
		_, _ = io.WriteString(c, text)
		_ = c.Close()
	}), &http.Transport{})
}

func closedMidway(t *testing.T) error {
	t.Helper()
	return says(t, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nthe first")
}

func gibberish(t *testing.T) error {
	t.Helper()
	return says(t, "220 mail.example.org ESMTP\r\n")
}

func headerTooLate(t *testing.T) error {
	t.Helper()
	return get(t, "http://"+silence(t), &http.Transport{ResponseHeaderTimeout: time.Millisecond})
}

func clientTooLate(t *testing.T) error {
	t.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	return getWith(t, "http://"+silence(t), &http.Client{Transport: transport, Timeout: 20 * time.Millisecond})
}

func readTooLate(t *testing.T) error {
	t.Helper()
	c := dial(t, silence(t))
	if err := c.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err := c.Read(make([]byte, 1))
	return err
}

func badAddress(t *testing.T) error {
	t.Helper()
	_, err := url.Parse("http://[" + t.Name())
	return err
}

func markedDial(t *testing.T) error {
	t.Helper()
	return domain.MarkIgnored(refusedDial(t))
}

func markedReset(t *testing.T) error {
	t.Helper()
	return fmt.Errorf("charging: %w", domain.MarkLocal(resetByPeer(t)))
}

func readTooMuch(t *testing.T) error {
	t.Helper()
	body := io.NopCloser(strings.NewReader("more than that"))
	_, err := io.ReadAll(http.MaxBytesReader(httptest.NewRecorder(), body, 4))
	return err
}

func noRows(t *testing.T) error {
	t.Helper()
	var n int
	return database(t, nil).QueryRowContext(t.Context(), "none").Scan(&n)
}

func badConn(t *testing.T) error {
	t.Helper()
	return database(t, driver.ErrBadConn).PingContext(t.Context())
}

func txDone(t *testing.T) error {
	t.Helper()
	tx, err := database(t, nil).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	return tx.Commit()
}

func connDone(t *testing.T) error {
	t.Helper()
	c, err := database(t, nil).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	return c.PingContext(t.Context())
}

func database(t *testing.T, connect error) *sql.DB {
	t.Helper()
	db := sql.OpenDB(emptyDatabase{connect})
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// A statusError is as client libraries make it; so is an httpStatusError.
type (
	statusError     int
	httpStatusError int
)

func (e statusError) Error() string           { return fmt.Sprintf("status %d", int(e)) }
func (e statusError) StatusCode() int         { return int(e) }
func (e httpStatusError) Error() string       { return fmt.Sprintf("status %d", int(e)) }
func (e httpStatusError) HTTPStatusCode() int { return int(e) }

func status(code int) func(*testing.T) error {
	return func(*testing.T) error { return statusError(code) }
}
