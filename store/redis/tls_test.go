package redisstore

import (
	"context"
	"crypto/tls"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/internal/redisserver"
	"github.com/holdfast-go/holdfast/store/storetest"
)

func newAuthority(t *testing.T) *redisserver.Authority {
	t.Helper()
	a, err := redisserver.NewAuthority(time.Now())
	must(t, err)
	return a
}

// serveTLS starts a server with a certificate that is valid until then, and
// returns the address of its TLS port. Where the server knows no TLS, t is
// skipped.
func serveTLS(t *testing.T, a *redisserver.Authority, until time.Time, settings ...string) (addr string, server *redisserver.Server) {
	t.Helper()
	port, err := redisserver.FreePort(t.Context())
	must(t, err)
	certificate, err := a.Certify(t.TempDir(), until)
	must(t, err)
	words := []any{"config", "set", "tls-port", port}
	for _, word := range append(certificate, settings...) {
		words = append(words, word)
	}
	server = redisserver.ForTest(t)
	err = connect(t, server.Addr()).Do(t.Context(), words...).Err()
	if err != nil && strings.Contains(err.Error(), "Unknown option") {
		t.Skipf("this server was built without TLS: %v", err)
	}
	must(t, err)
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), server
}

// anybody is the setting of a server that wants no certificate of its clients.
var anybody = []string{"tls-auth-clients", "no"}

// Over TLS a store is what it is without.
func TestConformanceOverTLS(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	addr, _ := serveTLS(t, ca, time.Now().Add(time.Hour), anybody...)
	client := redis.NewClient(&redis.Options{Addr: addr, TLSConfig: &tls.Config{RootCAs: ca.Pool()}})
	t.Cleanup(func() { _ = client.Close() })
	storetest.TestAll(t, maker(client))
}

// A certificate that cannot be believed, and ends of which only one speaks TLS,
// are matters of configuration: no time mends them.
func TestTLSThatCannotWork(t *testing.T) {
	t.Parallel()
	leaktest.Check(t) // before the servers: go-redis goes on dialing them after its Close, with TLS whatever its context says
	ca := newAuthority(t)
	hour := time.Now().Add(time.Hour)
	good, server := serveTLS(t, ca, hour, anybody...)
	expired, _ := serveTLS(t, ca, time.Now().Add(-time.Hour), anybody...)
	mutual, _ := serveTLS(t, ca, hour, "tls-auth-clients", "yes")
	modern, _ := serveTLS(t, ca, hour, "tls-auth-clients", "no", "tls-protocols", "TLSv1.3")
	for name, way := range map[string]struct {
		addr   string
		config *tls.Config
	}{
		"an authority that nobody knows": {good, &tls.Config{RootCAs: newAuthority(t).Pool()}},
		"a certificate that expired":     {expired, &tls.Config{RootCAs: ca.Pool()}},
		"a certificate of another host":  {good, &tls.Config{RootCAs: ca.Pool(), ServerName: "redis.example"}},
		"no certificate of the client":   {mutual, &tls.Config{RootCAs: ca.Pool()}},
		"no version in common":           {modern, &tls.Config{RootCAs: ca.Pool(), MaxVersion: tls.VersionTLS12}},
		"a client without TLS":           {good, nil},
		"a server without TLS":           {server.Addr(), &tls.Config{RootCAs: ca.Pool()}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := redis.NewClient(&redis.Options{Addr: way.addr, TLSConfig: way.config})
			t.Cleanup(func() { _ = client.Close() })
			s := New(client, newFleet(), Options{})
			for op, call := range eachCall(t, s) {
				said := &domain.StoreError{}
				// It is found out beside the first calls, which only learn that time ran out.
				for start := time.Now(); said.Err == nil || !said.Config && time.Since(start) < 20*time.Second; {
					ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
					said = storeError(t, call(ctx))
					cancel()
				}
				if !said.Config || said.Entity {
					t.Errorf("%s: %+v; want it misconfigured", op, said)
				}
			}
		})
	}
}

// A server with TLS that is stopped, or gone, is an outage, as one without is.
func TestTLSOutage(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	addr, server := serveTLS(t, ca, time.Now().Add(time.Hour), anybody...)
	client := redis.NewClient(&redis.Options{Addr: addr, TLSConfig: &tls.Config{RootCAs: ca.Pool()}, MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { _ = client.Close() })
	s := New(client, newFleet(), Options{})
	take := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		return takeWith(ctx, s, ruleOf(t, 10, 10), takeOne()).Err
	}
	for _, trouble := range []struct {
		name string
		make func()
	}{
		{"stopped", func() { must(t, server.Pause()) }},
		{"gone", server.Kill},
	} {
		trouble.make()
		for range 3 {
			if said := storeError(t, take()); said.Config || said.Entity {
				t.Errorf("%s: %+v; want an outage", trouble.name, said)
			}
		}
	}
}

// A password that is changed while the fleet runs is a matter of configuration
// until the client gives the right one; then everything goes on by itself.
func TestPasswordThatIsChanged(t *testing.T) {
	t.Parallel()
	server := redisserver.ForTest(t)
	admin := connect(t, server.Addr())
	change := func(password string) {
		t.Helper()
		must(t, admin.Do(t.Context(), "acl", "setuser", "holdfast", "on", "resetpass", ">"+password, "~*", "&*", "+@all").Err())
		must(t, admin.Do(t.Context(), "client", "kill", "user", "holdfast").Err()) // who is in stays in, else
	}
	must(t, admin.Do(t.Context(), "acl", "setuser", "holdfast", "on", ">first", "~*", "&*", "+@all").Err())
	var password atomic.Value
	password.Store("first")
	client := redis.NewClient(&redis.Options{
		Addr: server.Addr(), CredentialsProvider: func() (string, string) { return "holdfast", password.Load().(string) },
	})
	t.Cleanup(func() { _ = client.Close() })
	calls := eachCall(t, New(client, newFleet(), Options{}))
	all := func(said string, config bool) {
		t.Helper()
		for op, call := range calls {
			err := call(t.Context())
			// The connections that were ended are found out first, one by one.
			for deadline := time.Now().Add(10 * time.Second); err != nil && !strings.Contains(err.Error(), "WRONGPASS") && time.Now().Before(deadline); {
				if storeError(t, err).Config {
					t.Errorf("%s, %s: %v", op, said, err)
				}
				err = call(t.Context())
			}
			if config != (err != nil) || (config && !storeError(t, err).Config) {
				t.Errorf("%s, %s: %v; want it misconfigured: %v", op, said, err, config)
			}
		}
	}
	all("at first", false)
	change("second")
	all("with the password of before", true)
	password.Store("second")
	all("with the new password", false)
	change("third")
	all("with the password of before, again", true)
	change("second")
	all("with the old password back", false)
}
