package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const (
	own  = "github.com/holdfast-go/holdfast/examples/payment/"
	root = "github.com/holdfast-go/holdfast/"
)

// TestDependenciesPointInward: each layer imports those inside it only. The domain knows
// nothing but itself, the policies and some of the standard library; no presentation knows
// another, the infrastructure, or what the use cases are made of.
func TestDependenciesPointInward(t *testing.T) {
	standard := []string{"context", "errors", "fmt", "time"}
	for layer, allowed := range map[string][]string{
		"domain":            append(standard, root+"domain"),
		"application":       append(standard, own+"domain", root+"domain", root+"orchestrator"),
		"infrastructure":    {"std", own + "domain", root + "domain/port", root + "store/memory", root + "store/redis", "github.com/redis/go-redis/v9"},
		"presentation/rest": {"std", own + "domain", root + "domain", root + "orchestrator", root + "guardhttp"},
		"presentation/rpc":  {"std", own + "domain", own + "presentation/rpc/paymentv1", root + "domain", root + "orchestrator", root + "contrib/grpc", "google.golang.org/grpc"},
		"presentation/graph": {
			"std", own + "domain", root + "orchestrator", root + "contrib/gqlgen", "github.com/99designs/gqlgen", "github.com/vektah/gqlparser/v2",
		},
	} {
		for _, imported := range importsOf(t, "./"+layer) {
			if !permits(allowed, imported) {
				t.Errorf("%s imports %s", layer, imported)
			}
		}
	}
}

// TestTheDomainIsPure: nor does anything that it imports reach for I/O.
func TestTheDomainIsPure(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "./domain").Output()
	if err != nil {
		t.Fatal(err)
	}
	for imported := range strings.Lines(string(out)) {
		imported = strings.TrimSpace(imported)
		if strings.Contains(imported, ".") && !slices.Contains([]string{root + "domain", own + "domain"}, imported) {
			t.Errorf("the domain reaches %s", imported)
		}
		if imported == "net" || strings.HasPrefix(imported, "net/") || imported == "database/sql" {
			t.Errorf("the domain reaches %s", imported)
		}
	}
}

// permits reports whether a layer may import a package: a package of a module of somebody
// else's stands for those below it.
func permits(allowed []string, imported string) bool {
	for _, a := range allowed {
		switch {
		case a == imported, a == "std" && !strings.Contains(imported, "."):
			return true
		case !strings.HasPrefix(a, root) && strings.HasPrefix(imported, a+"/") && strings.Contains(a, "."):
			return true
		}
	}
	return false
}

// importsOf are what a package's own files import.
func importsOf(t *testing.T, pkg string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=Imports", pkg).Output()
	if err != nil {
		t.Fatal(err)
	}
	var imports []string
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct{ Imports []string }
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		imports = append(imports, p.Imports...)
	}
	if len(imports) == 0 {
		t.Fatalf("%s imports nothing: it is not looked at", pkg)
	}
	return imports
}
