package guardhttp

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the networks of the proxies in front of a server. What a forwarded request
// says of its client is believed as far as one of them has written it, and no further:
// anybody can send a header. The zero Proxies are none.
type Proxies []netip.Prefix

// ParseProxies reads networks, such as "10.0.0.0/8", and single addresses.
func ParseProxies(networks ...string) (Proxies, error) {
	var p Proxies
	for _, text := range networks {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			addr, addrErr := netip.ParseAddr(text)
			if addrErr != nil {
				return nil, err //nolint:wrapcheck // it says what it could not parse
			}
			network = netip.PrefixFrom(addr, addr.BitLen())
		}
		p = append(p, network.Masked())
	}
	return p, nil
}

// ClientAddr is the address of the client, as [RemoteAddr] has it. It goes through
// X-Forwarded-For from its end, where the last proxy wrote, and takes the first address
// that is not a proxy's. Where an entry is no address, it takes that of the proxy that
// passed it on.
func (p Proxies) ClientAddr(r *http.Request) string {
	client, ok := remote(r)
	if !ok {
		return ""
	}
	for _, line := range slices.Backward(r.Header["X-Forwarded-For"]) {
		for _, entry := range slices.Backward(strings.Split(line, ",")) {
			if !p.has(client) {
				return subscriber(client)
			}
			before, known := forwarded(entry)
			if !known {
				return subscriber(client)
			}
			client = before
		}
	}
	return subscriber(client)
}

// has reports whether an address is a proxy's.
func (p Proxies) has(addr netip.Addr) bool {
	for _, network := range p {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// forwarded reads one entry: an address, which some proxies write with its port.
func forwarded(entry string) (netip.Addr, bool) {
	entry = strings.TrimSpace(entry)
	if addr, ok := parseAddr(entry); ok {
		return addr, true
	}
	if at, err := netip.ParseAddrPort(entry); err == nil {
		return at.Addr().Unmap().WithZone(""), true
	}
	return parseAddr(strings.TrimSuffix(strings.TrimPrefix(entry, "["), "]"))
}
