package declare

import (
	"go/ast"
	"go/token"
	"testing"

	"github.com/holdfast-go/holdfast/compat"
	hold "github.com/holdfast-go/holdfast/domain"
)

// reading is a reader of single directives, which notes where problems are.
func reading(places *[]token.Pos) *reader {
	return &reader{used: make(map[token.Pos]bool), at: func(pos token.Pos) token.Position {
		*places = append(*places, pos)
		return token.Position{Offset: int(pos)}
	}}
}

// TestOlderIsCompat: an older directive without numbers declares what package compat runs.
func TestOlderIsCompat(t *testing.T) {
	//nolint:staticcheck // deprecated as the directives are; as values, since go fix would inline calls
	retries, breaker, limit := compat.RetryPolicy, compat.BreakerPolicy, compat.LimitPolicy
	for said, want := range map[string]hold.Policy{
		"//holdfast:retry":                                  retries(3),
		"//holdfast:retry()":                                retries(3),
		"//holdfast:retry(max_retries=7)":                   retries(7),
		"//holdfast:circuit_breaker":                        breaker(""),
		"//holdfast:circuit_breaker( name = \"payments\" )": breaker("payments"),
		"//holdfast:rate_limited":                           limit("", 100, 10),
		"//holdfast:rate_limited(burst=2, rps=5)":           limit("", 5, 2),
	} {
		var places []token.Pos
		r := reading(&places)
		d, ok := read(&ast.Comment{Slash: 1, Text: said})
		if layers := r.layers(d); !ok || len(layers) != 1 || layers[0] != want || len(r.problems) > 0 {
			t.Errorf("%s is %v, want %v: %v", said, layers, want, r.problems)
		}
		if len(r.warnings) != 1 {
			t.Errorf("%s has the warnings %v", said, r.warnings)
		}
	}
}

// FuzzDirective: whatever stands in a directive, it is read or refused, at a place inside it.
func FuzzDirective(f *testing.F) {
	for _, seed := range []string{
		"resilient retry(max_attempts=3) > timeout(2s)", "resilient\tretry(", "resilient ü > retry(é=1)", "resilient", "resilient(",
		"retry(max_retries=3, multiplier=x)", "retry(ü=3)", "retry)(", "retry(", "retry ( ) ", "rate_limited(rps=é,)", "circuit_breaker(name=,=)",
		"key a.b", "key \xff", "\xff", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, said string) {
		const begin = 100
		comment := &ast.Comment{Slash: begin, Text: mark + said}
		d, ok := read(comment)
		if !ok {
			t.Fatalf("%q is no directive", comment.Text)
		}
		var places []token.Pos
		r := reading(&places)
		switch d.name {
		case resilient, retry, circuitBreaker, rateLimited:
			layers := r.layers(d)
			if (len(layers) > 0) != (len(r.problems) == 0) {
				t.Errorf("%q has the layers %v and the problems %v", comment.Text, layers, r.problems)
			}
			for _, layer := range layers {
				if err := layer.Validate(); err != nil {
					t.Errorf("%q is %v: %v", comment.Text, layer, err)
				}
			}
		}
		for _, place := range places {
			if place < comment.Pos() || place > comment.End() {
				t.Errorf("%q has a problem at %d of %d", comment.Text, place-begin, len(comment.Text))
			}
		}
	})
}
