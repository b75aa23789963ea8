package guardhttp_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/holdfast-go/holdfast/guardhttp"
)

type tenantKey struct{}

// TestKeys: whose request it is.
func TestKeys(t *testing.T) {
	for _, tt := range []struct {
		name string
		key  func(*http.Request) string
		with func(*http.Request)
		want string
	}{
		{"an address", guardhttp.RemoteAddr, from("192.0.2.7:1234"), "192.0.2.7"},
		{"one of IPv6 stands for its network", guardhttp.RemoteAddr, from("[2001:db8:1:2:3::4]:1234"), "2001:db8:1:2::/64"},
		{"one of IPv4 in clothes of IPv6", guardhttp.RemoteAddr, from("[::ffff:192.0.2.7]:1234"), "192.0.2.7"},
		{"one with a zone", guardhttp.RemoteAddr, from("[fe80::1%eth0]:1234"), "fe80::/64"},
		{"one without a port", guardhttp.RemoteAddr, from("192.0.2.7"), "192.0.2.7"},
		{"none", guardhttp.RemoteAddr, from("@"), ""},
		{"a header", guardhttp.Header("x-api-key"), header("X-Api-Key", "k"), "k"},
		{"no header", guardhttp.Header("x-api-key"), from(""), ""},
		{"a user", guardhttp.BasicUser, func(r *http.Request) { r.SetBasicAuth("ada", "x") }, "ada"},
		{"no user", guardhttp.BasicUser, from(""), ""},
		{"a certificate", guardhttp.Certificate, func(r *http.Request) {
			leaf := &x509.Certificate{Subject: pkix.Name{CommonName: "billing"}}
			r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{leaf}}}
		}, "CN=billing"},
		{"one that nobody verified", guardhttp.Certificate, func(r *http.Request) {
			r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{Subject: pkix.Name{CommonName: "me"}}}}
		}, ""},
		{"no TLS", guardhttp.Certificate, from(""), ""},
		{"what was authenticated", guardhttp.ContextValue(tenantKey{}), func(r *http.Request) {
			*r = *r.WithContext(context.WithValue(r.Context(), tenantKey{}, "acme"))
		}, "acme"},
		{"nothing was", guardhttp.ContextValue(tenantKey{}), from(""), ""},
		{"a route", guardhttp.Route, func(r *http.Request) { r.Pattern = "GET /orders" }, "GET /orders"},
		{"a host", guardhttp.Host, from(""), "shop"},
		{"two", guardhttp.Both(guardhttp.Header("a"), guardhttp.Header("b")), header("A", "1:x", "B", "y"), "3:1:x1:y"},
		{"two others", guardhttp.Both(guardhttp.Header("a"), guardhttp.Header("b")), header("A", "1", "B", "x1:y"), "1:14:x1:y"},
		{"one of two", guardhttp.Both(guardhttp.Header("a"), guardhttp.Header("b")), header("A", "1"), ""},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://shop/orders", http.NoBody)
		tt.with(r)
		if got := tt.key(r); got != tt.want {
			t.Errorf("%s: %q; want %q", tt.name, got, tt.want)
		}
	}
}

func from(addr string) func(*http.Request) { return func(r *http.Request) { r.RemoteAddr = addr } }

func header(pairs ...string) func(*http.Request) {
	return func(r *http.Request) {
		for i := 0; i < len(pairs); i += 2 {
			r.Header.Add(pairs[i], pairs[i+1])
		}
	}
}

// TestClientAddr: who is behind the proxies, and what liars get.
func TestClientAddr(t *testing.T) {
	ours, err := guardhttp.ParseProxies("10.0.0.0/8", "2001:db8::1", "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		proxies guardhttp.Proxies
		remote  string
		lines   []string
		want    string
	}{
		{"no proxy", ours, "203.0.113.9:1", nil, "203.0.113.9"},
		{"a client that forges the header", ours, "203.0.113.9:1", []string{"198.51.100.1"}, "203.0.113.9"},
		{"one proxy", ours, "10.1.1.1:1", []string{"203.0.113.9"}, "203.0.113.9"},
		{"the proxy appends to what the client forged", ours, "10.1.1.1:1", []string{"1.2.3.4, 203.0.113.9"}, "203.0.113.9"},
		{"two proxies", ours, "10.1.1.1:1", []string{"203.0.113.9, 10.2.2.2"}, "203.0.113.9"},
		{"on two lines", ours, "10.1.1.1:1", []string{"1.2.3.4, 203.0.113.9", "10.2.2.2"}, "203.0.113.9"},
		{"a proxy asks for itself", ours, "10.1.1.1:1", nil, "10.1.1.1"},
		{"only proxies", ours, "10.1.1.1:1", []string{"10.2.2.2, 10.3.3.3"}, "10.2.2.2"},
		{"with a port", ours, "10.1.1.1:1", []string{"203.0.113.9:4711"}, "203.0.113.9"},
		{"IPv6", ours, "[2001:db8::1]:1", []string{"2001:db8:7::9"}, "2001:db8:7::/64"},
		{"IPv6 in brackets", ours, "192.0.2.1:1", []string{"[2001:db8:7::9]"}, "2001:db8:7::/64"},
		{"IPv6 with a port", ours, "192.0.2.1:1", []string{"[2001:db8:7::9]:99"}, "2001:db8:7::/64"},
		{"nonsense", ours, "10.1.1.1:1", []string{"203.0.113.9, unknown"}, "10.1.1.1"},
		{"an empty entry", ours, "10.1.1.1:1", []string{"203.0.113.9,"}, "10.1.1.1"},
		{"no proxies declared", nil, "10.1.1.1:1", []string{"203.0.113.9"}, "10.1.1.1"},
		{"no address at all", ours, "pipe", []string{"203.0.113.9"}, ""},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.RemoteAddr = tt.remote
		r.Header["X-Forwarded-For"] = tt.lines
		if got := tt.proxies.ClientAddr(r); got != tt.want {
			t.Errorf("%s: %q; want %q", tt.name, got, tt.want)
		}
	}
	if _, err := guardhttp.ParseProxies("10.0.0.0/99"); err == nil {
		t.Error("a network that is none was taken")
	}
}

// FuzzClientAddr: whatever the header says, a client that is no proxy's is itself.
func FuzzClientAddr(f *testing.F) {
	f.Add("203.0.113.9, 10.2.2.2")
	f.Add("[::1]:99,,")
	ours, _ := guardhttp.ParseProxies("10.0.0.0/8")
	f.Fuzz(func(t *testing.T, line string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.Header["X-Forwarded-For"] = []string{line}
		r.RemoteAddr = "203.0.113.9:1"
		if got := ours.ClientAddr(r); got != "203.0.113.9" {
			t.Errorf("a stranger became %q", got)
		}
		r.RemoteAddr = "10.1.1.1:1"
		if got := ours.ClientAddr(r); got == "" {
			t.Error("nobody")
		}
	})
}
