package compat_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// commands are those of docs/migrating-old-code.md, in order.
func commands(t *testing.T) (commands []string) {
	t.Helper()
	page, err := os.ReadFile("../docs/migrating-old-code.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(page)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "go run ") || strings.HasPrefix(line, "go fix ") {
			commands = append(commands, line)
		}
	}
	if len(commands) != 2 {
		t.Fatalf("the page has the commands %q", commands)
	}
	return commands
}

// TestMigration: a module of older code, migrated as the page says, compiles and does not
// know this package any more.
func TestMigration(t *testing.T) {
	folder := module(t)
	run(t, folder, "go build ./...") // the older code does
	for _, command := range commands(t) {
		run(t, folder, command)
	}
	run(t, folder, "go vet ./...")

	got, err := os.ReadFile(filepath.Join(folder, "shop.go"))
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/shop/shop.go.golden"
	if os.Getenv("HOLDFAST_GOLDEN") != "" {
		if err := os.WriteFile(golden, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the migrated code is not that of %s, which HOLDFAST_GOLDEN=1 would write anew:\n%s", golden, got)
	}
	if bytes.Contains(got, []byte("compat")) {
		t.Error("it knows the package compat still")
	}
}

// module makes a module of the sample that is built with this checkout, without a network.
func module(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for name, from := range map[string]string{"go.sum": "../go.sum", "shop.go": "testdata/shop/shop.go"} {
		content, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, name), content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	mod := "module example.org/shop\n\ngo 1.26.0\n\nrequire github.com/holdfast-go/holdfast v0.0.0\n\n" +
		"replace github.com/holdfast-go/holdfast => " + root + "\n"
	if err := os.WriteFile(filepath.Join(folder, "go.mod"), []byte(mod), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

// run runs a command of the page as a shell would.
func run(t *testing.T, folder, command string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", "GOPROXY=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
}

// TestGoFixAlone: what the inliner can do, it does without the other command.
func TestGoFixAlone(t *testing.T) {
	folder := module(t)
	const code = `package shop

import (
	"context"

	"github.com/holdfast-go/holdfast/compat"
	"github.com/holdfast-go/holdfast/orchestrator"
)

type fn = func(context.Context) (string, error)

func A(ctx context.Context, orch *orchestrator.Orchestrator, fn fn) (string, error) {
	return compat.Retry[string](ctx, orch, 3, fn)
}

func B(ctx context.Context, orch *orchestrator.Orchestrator, fn fn) (string, error) {
	c := compat.New(orch)
	return compat.CircuitBreaker[string](ctx, c, "b", fn)
}

func C(ctx context.Context, orch *orchestrator.Orchestrator, fn fn) (string, error) {
	return compat.RateLimited[string](ctx, orch, "c", 100, 10, fn)
}
`
	file := filepath.Join(folder, "shop.go")
	if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, folder, "go fix ./...")
	run(t, folder, "go vet ./...")
	if got, err := os.ReadFile(file); err != nil || bytes.Contains(got, []byte("compat")) {
		t.Errorf("%v\n%s", err, got)
	}
}
