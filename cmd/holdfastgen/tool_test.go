package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTool: a module of somebody else's has the command as a tool and needs nothing else for
// it; go generate writes, what is written compiles, and -check finds what is stale.
func TestTool(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile("../../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	put(t, folder, "go.sum", string(sum))
	put(t, folder, "go.mod", `module example.org/shop

go 1.26.0

tool github.com/holdfast-go/holdfast/cmd/holdfastgen

require github.com/holdfast-go/holdfast v0.0.0

replace github.com/holdfast-go/holdfast => `+root+"\n")
	const domain = `package payment

import "context"

type Service interface {
	//holdfast:resilient timeout(5s) > retry(max_attempts=3)
	Process(ctx context.Context, id string) (string, error)
}
`
	put(t, folder, "payment/payment.go", domain)
	put(t, folder, "application/application.go", `package application

import (
	"example.org/shop/payment"
	"github.com/holdfast-go/holdfast/orchestrator"
)

//go:generate go tool holdfastgen -o payment_guard.go example.org/shop/payment

func New(orch *orchestrator.Orchestrator, s payment.Service) (payment.Service, error) {
	return NewPaymentServiceGuard(orch, s)
}
`)
	command(t, folder, true, "go", "generate", "./...")
	command(t, folder, true, "go", "vet", "./...")
	command(t, folder, true, "go", "tool", "holdfastgen", "-check")
	if out := command(t, folder, true, "go", "list", "-m", "-f", "{{if not .Indirect}}{{.Path}}{{end}}", "all"); strings.Contains(out, "golang.org/x/tools") {
		t.Errorf("the tool costs a module: %s", out)
	}

	put(t, folder, "payment/payment.go", strings.Replace(domain, "max_attempts=3", "max_attempts=4", 1))
	out := command(t, folder, false, "go", "tool", "holdfastgen", "-check", "./...")
	if want := filepath.Join("application", "payment_guard.go") + ": is stale; run go generate"; !strings.Contains(out, want) {
		t.Errorf("%q; want %q", out, want)
	}
	command(t, folder, true, "go", "generate", "./...")
	command(t, folder, true, "go", "tool", "holdfastgen", "-check", "./...")
}

func put(t *testing.T, folder, name, content string) {
	t.Helper()
	path := filepath.Join(folder, filepath.FromSlash(name))
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = os.WriteFile(path, []byte(content), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// command runs a program, which is to succeed or to fail, and returns what it says.
func command(t *testing.T, folder string, succeeds bool, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", "GOPROXY=off")
	out, err := cmd.CombinedOutput()
	if (err == nil) != succeeds {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}
