package archtest

import (
	"context"
	"strings"
)

// T is what Imports needs of a *testing.T.
type T interface {
	Helper()
	Context() context.Context
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// A Rule is one line of what packages may import. Make it with [Allow], [Trust] or [Deny].
type Rule struct {
	kind     kind
	patterns []string
}

type kind uint8

const (
	allow kind = iota
	trust
	deny
)

// Allow names packages that may be reached. What they import is looked at in turn, but for
// packages of the standard library, whose own imports are their own affair.
//
// A pattern is an import path, one that ends in "/..." for it and all below it, or "std" for
// the whole standard library.
func Allow(patterns ...string) Rule { return Rule{allow, patterns} }

// Trust names packages that may be reached, and that may import what they like.
func Trust(patterns ...string) Rule { return Rule{trust, patterns} }

// Deny names packages that must not be reached in any way: also not through one that is
// trusted, or through the standard library. It wins over Allow and Trust.
func Deny(patterns ...string) Rule { return Rule{deny, patterns} }

// Imports fails the test for each package that the packages of a pattern, as `go list` has
// it, import against the rules, themselves or through others. They may import each other;
// anything else must be allowed. Without any Allow or Trust, everything is that is not denied.
//
// A pattern without a package, and a package that does not load, fail the test too.
func Imports(t T, pattern string, rules ...Rule) {
	t.Helper()
	g, roots, err := load(t.Context(), pattern)
	if err != nil {
		t.Fatalf("%v", err)
		return
	}
	for _, broken := range append(g.judge(roots, rules), g.denied(roots, rules)...) {
		t.Errorf("%s", broken)
	}
}

// judge walks from the roots through all that is not trusted and not of the standard
// library, and returns the chains to what is not allowed.
func (g graph) judge(roots []string, rules []Rule) (broken []string) {
	if !has(rules, allow) && !has(rules, trust) {
		return nil
	}
	g.walk(roots, func(path string, chain []string) (further bool) {
		switch {
		case len(chain) == 1 || g.match(rules, allow, path):
			return !g[path].Standard
		case g.match(rules, trust, path) || g.match(rules, deny, path): // of which denied tells
			return false
		default:
			broken = append(broken, strings.Join(chain, " → ")+": it is not allowed")
			return false
		}
	})
	return broken
}

// denied walks everywhere, and returns the chains to what is denied.
func (g graph) denied(roots []string, rules []Rule) (broken []string) {
	g.walk(roots, func(path string, chain []string) (further bool) {
		if len(chain) > 1 && g.match(rules, deny, path) {
			broken = append(broken, strings.Join(chain, " → ")+": it is denied")
			return false
		}
		return true
	})
	return broken
}

func has(rules []Rule, k kind) bool {
	for _, r := range rules {
		if r.kind == k {
			return true
		}
	}
	return false
}

// match reports whether a rule of a kind names a package.
func (g graph) match(rules []Rule, k kind, path string) bool {
	for _, r := range rules {
		if r.kind != k {
			continue
		}
		for _, pattern := range r.patterns {
			above, tree := strings.CutSuffix(pattern, "/...")
			switch {
			case pattern == path, pattern == "std" && g[path].Standard:
				return true
			case tree && (path == above || strings.HasPrefix(path, above+"/")):
				return true
			}
		}
	}
	return false
}
