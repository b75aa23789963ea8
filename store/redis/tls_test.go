package redisstore

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/internal/redisserver"
	"github.com/holdfast-go/holdfast/store/storetest"
)

// An authority signs certificates of servers, for an hour.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{cert: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tests"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}}
	var err error
	a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, a.key.Public(), a.key)
	must(t, err)
	a.cert, err = x509.ParseCertificate(der)
	must(t, err)
	return a
}

// pool is who trusts a.
func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// serve starts a server with a certificate for 127.0.0.1 that is valid until
// then, and returns the address of its TLS port. Where the server knows no TLS,
// t is skipped.
func (a *authority) serve(t *testing.T, until time.Time, settings ...string) (addr string, server *redisserver.Server) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}, a.cert, key.Public(), a.key)
	must(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	port, err := freePort(t.Context())
	must(t, err)
	dir := t.TempDir()
	write := func(name, kind string, bytes []byte) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}), 0o600))
		return path
	}
	words := []any{
		"config", "set", "tls-cert-file", write("cert", "CERTIFICATE", der), "tls-key-file", write("key", "PRIVATE KEY", private),
		"tls-ca-cert-file", write("ca", "CERTIFICATE", a.cert.Raw), "tls-port", port,
	}
	for _, word := range settings {
		words = append(words, word)
	}
	server = redisserver.ForTest(t)
	err = connect(t, server.Addr()).Do(t.Context(), words...).Err()
	if err != nil && strings.Contains(err.Error(), "Unknown option") {
		t.Skipf("this server was built without TLS: %v", err)
	}
	must(t, err)
	return net.JoinHostPort("127.0.0.1", port), server
}

// anybody is the setting of a server that wants no certificate of its clients.
var anybody = []string{"tls-auth-clients", "no"}

func freePort(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port), listener.Close()
}

// Over TLS a store is what it is without.
func TestConformanceOverTLS(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	addr, _ := ca.serve(t, time.Now().Add(time.Hour), anybody...)
	client := redis.NewClient(&redis.Options{Addr: addr, TLSConfig: &tls.Config{RootCAs: ca.pool()}})
	t.Cleanup(func() { _ = client.Close() })
	storetest.TestAll(t, maker(client))
}

// A certificate that cannot be believed, and ends of which only one speaks TLS,
// are matters of configuration: no time mends them.
func TestTLSThatCannotWork(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	hour := time.Now().Add(time.Hour)
	good, server := ca.serve(t, hour, anybody...)
	expired, _ := ca.serve(t, time.Now().Add(-time.Hour), anybody...)
	mutual, _ := ca.serve(t, hour, "tls-auth-clients", "yes")
	modern, _ := ca.serve(t, hour, "tls-auth-clients", "no", "tls-protocols", "TLSv1.3")
	for name, way := range map[string]struct {
		addr     string
		config   *tls.Config
		mismatch bool
	}{
		"an authority that nobody knows": {good, &tls.Config{RootCAs: newAuthority(t).pool()}, false},
		"a certificate that expired":     {expired, &tls.Config{RootCAs: ca.pool()}, false},
		"a certificate of another host":  {good, &tls.Config{RootCAs: ca.pool(), ServerName: "redis.example"}, false},
		"no certificate of the client":   {mutual, &tls.Config{RootCAs: ca.pool()}, false},
		"no version in common":           {modern, &tls.Config{RootCAs: ca.pool(), MaxVersion: tls.VersionTLS12}, false},
		"a client without TLS":           {good, nil, true},
		"a server without TLS":           {server.Addr(), &tls.Config{RootCAs: ca.pool()}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := redis.NewClient(&redis.Options{Addr: way.addr, TLSConfig: way.config, DialerRetries: 1, MaxRetries: -1})
			t.Cleanup(func() { _ = client.Close() })
			s := New(client, newFleet(), Options{})
			// Where one end speaks no TLS it has to be found out, for which a busy machine may take some tries.
			limit, tries := 10*time.Second, time.Duration(0)
			if way.mismatch {
				limit, tries = 100*time.Millisecond, 20*time.Second
			}
			for op, call := range eachCall(t, s) {
				said := &domain.StoreError{}
				for start := time.Now(); said.Err == nil || !said.Config && time.Since(start) < tries; {
					ctx, cancel := context.WithTimeout(t.Context(), limit)
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
	addr, server := ca.serve(t, time.Now().Add(time.Hour), anybody...)
	client := redis.NewClient(&redis.Options{Addr: addr, TLSConfig: &tls.Config{RootCAs: ca.pool()}, MaxRetries: -1, DialerRetries: 1})
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
