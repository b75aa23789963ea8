package guardhttp

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// Route is the pattern by which http.ServeMux found the handler, such as "POST /orders":
// a key of which there are few. The Server has to stand inside the mux, around the
// handler, for only then is it known.
func Route(r *http.Request) string { return r.Pattern }

// Header returns a key that is the value of a header, such as an API key. A client that
// can make up values can make up keys: use it for what was checked before.
func Header(name string) func(*http.Request) string {
	return func(r *http.Request) string { return r.Header.Get(name) }
}

// BasicUser is the user of HTTP basic authentication. It checks no password: that has to
// be done before.
func BasicUser(r *http.Request) string {
	user, _, _ := r.BasicAuth()
	return user
}

// Certificate is the subject of the client certificate that TLS has verified.
func Certificate(r *http.Request) string {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.VerifiedChains[0]) == 0 {
		return ""
	}
	return r.TLS.VerifiedChains[0][0].Subject.String()
}

// ContextValue returns a key that an authentication further out has put into the
// request's context, as a string.
func ContextValue(key any) func(*http.Request) string {
	return func(r *http.Request) string {
		value, _ := r.Context().Value(key).(string)
		return value
	}
}

// RemoteAddr is the address of who sent the request, as the connection has it: of IPv6
// its first 64 bits, since that much belongs to one subscriber. Behind a proxy that is
// the proxy's; see [Proxies].
func RemoteAddr(r *http.Request) string {
	addr, ok := remote(r)
	if !ok {
		return ""
	}
	return subscriber(addr)
}

// Both returns a key of several, each of which must be there: such as the tenant and the
// route. Different parts never make the same key.
func Both(parts ...func(*http.Request) string) func(*http.Request) string {
	return func(r *http.Request) string {
		var b strings.Builder
		for _, part := range parts {
			value := part(r)
			if value == "" {
				return ""
			}
			b.WriteString(strconv.Itoa(len(value)))
			b.WriteByte(':')
			b.WriteString(value)
		}
		return b.String()
	}
}

// remote is the address of the other end of the connection.
func remote(r *http.Request) (netip.Addr, bool) {
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return at.Addr().Unmap().WithZone(""), true
	}
	return parseAddr(r.RemoteAddr)
}

func parseAddr(text string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(text)
	return addr.Unmap().WithZone(""), err == nil
}

// subscriber is what of an address belongs to one subscriber.
func subscriber(addr netip.Addr) string {
	if addr.Is4() {
		return addr.String()
	}
	network, err := addr.Prefix(64)
	if err != nil {
		return addr.String()
	}
	return network.String()
}
