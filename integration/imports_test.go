package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const root = "github.com/holdfast-go/holdfast"

// A goPackage is what `go list -json` says of a package.
type goPackage struct {
	ImportPath string
	Imports    []string // those of its tests are not among them
	Standard   bool
}

// A graph has every package that the root module is built of, by import path.
type graph map[string]goPackage

// A rule says what the packages of a pattern may import. A pattern is relative
// to the root module and may end in "/...". An allowed import is a pattern that
// starts with "./", the word std, or the path or pattern of any other package.
type rule struct {
	pattern string
	allow   []string
}

// violations returns what in g breaks the rules, in the order of the paths. The
// most specific rule decides, and a package that has none is a violation too.
func violations(g graph, rules []rule) []string {
	var found []string
	for _, p := range g.own() {
		r, ok := ruleFor(rules, p.ImportPath)
		if !ok {
			found = append(found, p.ImportPath+": no rule covers it")
			continue
		}
		for _, imported := range p.Imports {
			if !r.allows(g, imported) {
				found = append(found, fmt.Sprintf("%s imports %s", p.ImportPath, imported))
			}
		}
	}
	return found
}

// own returns the packages of the root module, in the order of their paths.
func (g graph) own() []goPackage {
	var own []goPackage
	for path, p := range g {
		if matches(root+"/...", path) {
			own = append(own, p)
		}
	}
	slices.SortFunc(own, func(a, b goPackage) int { return strings.Compare(a.ImportPath, b.ImportPath) })
	return own
}

// reaches returns every package that path imports, directly or not.
func (g graph) reaches(path string) map[string]bool {
	seen := make(map[string]bool)
	var visit func(path string)
	visit = func(path string) {
		for _, imported := range g[path].Imports {
			if !seen[imported] {
				seen[imported] = true
				visit(imported)
			}
		}
	}
	visit(path)
	return seen
}

// ruleFor returns the rule with the longest pattern that matches.
func ruleFor(rules []rule, path string) (rule, bool) {
	var best rule
	found := false
	for _, r := range rules {
		if matches(absolute(r.pattern), path) && (!found || len(r.pattern) > len(best.pattern)) {
			best, found = r, true
		}
	}
	return best, found
}

func (r rule) allows(g graph, path string) bool {
	return slices.ContainsFunc(r.allow, func(allowed string) bool {
		switch {
		case allowed == "std":
			return g[path].Standard
		case strings.HasPrefix(allowed, "./"):
			return matches(absolute(strings.TrimPrefix(allowed, "./")), path)
		default:
			return matches(allowed, path)
		}
	})
}

// absolute turns a pattern relative to the root module into a whole one.
func absolute(pattern string) string {
	if pattern == "." {
		return root
	}
	return root + "/" + pattern
}

// matches reports whether pattern is path or, ending in "/...", stands above it.
func matches(pattern, path string) bool {
	above, isTree := strings.CutSuffix(pattern, "/...")
	if !isTree {
		return path == pattern
	}
	return path == above || strings.HasPrefix(path, above+"/")
}

// TestViolations shows that the check can fail.
func TestViolations(t *testing.T) {
	g := graph{
		"errors":      {ImportPath: "errors", Standard: true},
		"net":         {ImportPath: "net", Standard: true, Imports: []string{"errors"}},
		"example.org": {ImportPath: "example.org", Imports: []string{"net"}},
	}
	add := func(path string, imports ...string) {
		g[root+path] = goPackage{ImportPath: root + path, Imports: imports}
	}
	add("", "errors")
	add("/domain", "errors", "net")
	add("/domain/port", "errors", root+"/domain", root+"/fleet")
	add("/fleet", "net", root+"/domain/port", "example.org")
	add("/fleet/internal/flight", root+"/domain", root+"/domain/port", root+"/domainish")
	add("/domainish")

	got := violations(g, []rule{
		{"domain", []string{"errors"}},
		{"domain/...", []string{"errors", "./domain/..."}},
		{"fleet/...", []string{"std", "./domain/..."}},
		{"fleet/internal/flight", []string{"std", "./domain"}},
		{".", nil},
	})
	want := []string{
		root + " imports errors",
		root + "/domain imports net",
		root + "/domain/port imports " + root + "/fleet",
		root + "/domainish: no rule covers it",
		root + "/fleet imports example.org",
		root + "/fleet/internal/flight imports " + root + "/domain/port",
		root + "/fleet/internal/flight imports " + root + "/domainish",
	}
	if !slices.Equal(got, want) {
		t.Errorf("violations:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for path, want := range map[string]bool{"net": true, "errors": true, "example.org": true, root: false} {
		if got := g.reaches(root + "/fleet")[path]; got != want {
			t.Errorf("fleet reaches %s: %t; want %t", path, got, want)
		}
	}
}
