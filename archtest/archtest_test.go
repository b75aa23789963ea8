package archtest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/archtest"
)

// A recorder is a test that notes what it is told, and goes on.
type recorder struct {
	*testing.T
	failures []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) { r.Errorf("fatal: "+format, args...) }

// TestImports: a domain imports errors and money, money imports strconv and clock, and
// clock imports net and os/exec.
func TestImports(t *testing.T) {
	const (
		shop       = "github.com/holdfast-go/holdfast/archtest/testdata/shop/"
		toMoney    = shop + "domain → " + shop + "money"
		toClock    = toMoney + " → " + shop + "clock"
		domain     = "./testdata/shop/domain"
		notAllowed = ": it is not allowed"
		denied     = ": it is denied"
	)
	type rules = []archtest.Rule
	for _, tt := range []struct {
		story   string
		pattern string
		rules   rules
		want    []string
	}{
		{"all that is reached is allowed", domain, rules{archtest.Allow("errors", "strconv", "net", "os/exec", shop+"money", shop+"clock")}, nil},
		{"a package of the standard library", domain, rules{archtest.Allow("strconv", "net", "os/exec", shop+"...")}, []string{shop + "domain → errors" + notAllowed}},
		{"what the domain does not import itself", domain, rules{archtest.Allow("errors", "strconv", shop+"money", shop+"clock")}, []string{toClock + " → net" + notAllowed, toClock + " → os/exec" + notAllowed}},
		{"the first on the way is told, not all behind it", domain, rules{archtest.Allow("std")}, []string{toMoney + notAllowed}},
		{"several", domain, rules{archtest.Allow("strconv"), archtest.Allow(shop + "money")}, []string{shop + "domain → errors" + notAllowed, toClock + notAllowed}},
		{"one that is trusted may import what it likes", domain, rules{archtest.Allow("errors"), archtest.Trust(shop + "money")}, nil},
		{"but not what is denied", domain, rules{archtest.Allow("errors"), archtest.Trust(shop + "money"), archtest.Deny("net/...")}, []string{toClock + " → net" + denied}},
		{"nor through the standard library", domain, rules{archtest.Allow("std", shop+"..."), archtest.Deny("vendor/golang.org/x/net/dns/dnsmessage")}, []string{toClock + " → net → vendor/golang.org/x/net/dns/dnsmessage" + denied}},
		{"denied and nothing else said", domain, rules{archtest.Deny(shop + "clock")}, []string{toClock + denied}},
		{"denied beats allowed, and is told once", domain, rules{archtest.Allow("std", shop+"..."), archtest.Deny(shop + "clock")}, []string{toClock + denied}},
		{"a name is no prefix of another", domain, rules{archtest.Deny(shop + "clo/...")}, nil},
		{"several packages may import each other", "./testdata/shop/...", rules{archtest.Allow("std")}, nil},
		{"no such package", "./testdata/none", nil, []string{"fatal: go list ./testdata/none"}},
		{"no package", "./testdata/shop/domain/none/...", nil, []string{"fatal: go list"}},
		{"no way out of the arguments", "-version", nil, []string{"fatal: go list -version"}},
	} {
		t.Run(tt.story, func(t *testing.T) {
			r := &recorder{T: t}
			archtest.Imports(r, tt.pattern, tt.rules...)
			if !slices.EqualFunc(r.failures, tt.want, strings.HasPrefix) {
				t.Errorf("it says\n%s\nwant\n%s", strings.Join(r.failures, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

// TestOwnDomain is what a user writes, for the domain of this project.
func TestOwnDomain(t *testing.T) {
	archtest.Imports(t, "../domain",
		archtest.Allow("cmp", "context", "errors", "fmt", "math", "slices", "strconv", "strings", "time"),
		archtest.Deny("net/...", "database/sql/...", "os/exec"))
}
