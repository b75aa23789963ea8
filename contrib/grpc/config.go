package holdfastgrpc

import (
	"context"

	"github.com/holdfast-go/holdfast/orchestrator"
)

// A ServerConfig is what a server's interceptors need beside their guard. The zero
// ServerConfig is valid.
type ServerConfig struct {
	// Cost is how many tokens a call takes from each limit of the guard. req is nil for a
	// stream. Defaults to 1.
	Cost func(ctx context.Context, method string, req any) int64
	// Domain is that of the ErrorInfo in refusals. Defaults to DefaultDomain.
	Domain string
	// GuardFor gives single methods a guard of their own, or none: with a nil guard the
	// method runs bare. false means the guard of the interceptor. Defaults to that for all.
	GuardFor func(method string) (*orchestrator.Guard, bool)
	// Key says for whom a call is. Defaults to nobody, and then limits and breakers that
	// are Keyed let no call pass.
	Key Key
	// Received limits the messages of a stream that come from the client, Sent those that
	// go to it: where there can be several, and beside the call as a whole. Both default
	// to no limit.
	Received, Sent Messages
}

// A ClientConfig is what a client's interceptors need beside their guard. The zero
// ClientConfig is valid.
type ClientConfig struct {
	// Cost is as in ServerConfig.
	Cost func(ctx context.Context, method string, req any) int64
	// Domain is as in ServerConfig: a refusal has the same details on either side.
	Domain string
	// GuardFor is as in ServerConfig.
	GuardFor func(method string) (*orchestrator.Guard, bool)
	// Idempotent says which methods a server may be asked twice. Retries of the guard
	// repeat only these, and calls that never got as far as a connection. Defaults to
	// none.
	Idempotent func(method string) bool
	// Key is as in ServerConfig.
	Key Key
	// Received limits the messages of a stream that come from the server, Sent those that
	// go to it, as in ServerConfig.
	Received, Sent Messages
}

// Methods returns what reports whether a method is one of those given by their full names,
// such as "/shop.Cart/List": for ClientConfig.Idempotent.
func Methods(full ...string) func(method string) bool {
	known := make(map[string]bool, len(full))
	for _, method := range full {
		known[method] = true
	}
	return func(method string) bool { return known[method] }
}

// A side is what the interceptors of servers and clients have in common.
type side struct {
	guard    *orchestrator.Guard
	guardFor func(method string) (*orchestrator.Guard, bool)
	cost     func(ctx context.Context, method string, req any) int64
	key      Key
	domain   string
}

func (c ServerConfig) side(g *orchestrator.Guard) side {
	return side{g, c.GuardFor, c.Cost, c.Key, domainOf(c.Domain)}
}

func (c ClientConfig) side(g *orchestrator.Guard) side {
	return side{g, c.GuardFor, c.Cost, c.Key, domainOf(c.Domain)}
}

func domainOf(configured string) string {
	if configured == "" {
		return DefaultDomain
	}
	return configured
}

// guardOf returns the guard of a method; false when it runs bare.
func (s *side) guardOf(method string) (*orchestrator.Guard, bool) {
	if s.guardFor == nil {
		return s.guard, true
	}
	own, ok := s.guardFor(method)
	if !ok {
		return s.guard, true
	}
	return own, own != nil
}

// A caller is what is to be said of one call.
type caller struct {
	key       string
	forKey    orchestrator.Call
	forTokens orchestrator.Call
}

func (s *side) caller(ctx context.Context, method string, req any) (c caller) {
	if s.key != nil {
		c.key = s.key(ctx, method)
		c.forKey = orchestrator.Key(c.key)
	}
	if s.cost != nil {
		c.forTokens = orchestrator.Cost(s.cost(ctx, method, req))
	}
	return c
}
