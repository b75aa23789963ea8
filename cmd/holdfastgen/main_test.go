package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/internal/leaktest"
)

func TestMain(m *testing.M) { os.Exit(leaktest.Main(m)) }

// try runs the command in a folder.
func try(t *testing.T, folder string, args ...string) (status int, said string) {
	t.Helper()
	t.Chdir(folder)
	var out bytes.Buffer
	status = run(t.Context(), args, &out, &out)
	return status, out.String()
}

// golden compares with a file, or writes it anew.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if os.Getenv("HOLDFAST_GOLDEN") != "" {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("it is not what %s has, which HOLDFAST_GOLDEN=1 would write anew:\n%s", file, got)
	}
}

// TestProblems: all that cannot be meant is told at once, with its place, and nothing is written.
func TestProblems(t *testing.T) {
	file := filepath.Join(t.TempDir(), "guards.go")
	status, said := try(t, "testdata/problems", "-o", file)
	if status != exitFail {
		t.Errorf("status %d", status)
	}
	golden(t, "want.txt", said)
	if _, err := os.Stat(file); err == nil {
		t.Error("a file is written all the same")
	}
}

// TestForeign: what another package cannot name is refused there, and can be had in its own.
func TestForeign(t *testing.T) {
	file := filepath.Join(t.TempDir(), "guards.go")
	status, said := try(t, "testdata/foreign", "-o", file)
	if status != exitFail {
		t.Errorf("status %d", status)
	}
	golden(t, "want.txt", said)
}

// TestOlder: the older directives are read, and each is told what to write in its place.
func TestOlder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "guards.go")
	status, said := try(t, "testdata/older", "-o", file)
	if status != exitOK {
		t.Errorf("status %d", status)
	}
	golden(t, "want.txt", said)
}

// TestMessages: command lines, and what is said of them.
func TestMessages(t *testing.T) {
	const foreign = "./testdata/foreign"
	for _, tt := range []struct {
		args   string
		status int
		said   string
	}{
		{"-help", exitOK, "-migrate"},
		{"", exitMisuse, "-o is missing"},
		{"-nope", exitMisuse, "-nope"},
		{"-o x.go a b", exitMisuse, "these are 2"},
		{"-o x.txt", exitMisuse, "no Go file"},
		{"-migrate -check", exitMisuse, "alone"},
		{"-migrate testdata/none", exitFail, "testdata/none"},
		{"-o x.go ./testdata/none", exitFail, "testdata/none"},
		{"-o x.go ./internal/...", exitFail, "name one"},
		{"-o x.go ./testdata", exitFail, "no Go files"},
		{"-o x.go -type Nobody " + foreign, exitFail, "testdata/foreign: " + "github.com/holdfast-go/holdfast/cmd/holdfastgen/testdata/foreign has no interface Nobody"},
		{"-o x.go -type Constraint " + foreign, exitFail, "foreign.go:23:6: Constraint is a constraint"},
		{"-o x.go -type Plain " + foreign, exitFail, "foreign.go:26:6: Plain declares no policy"},
		{"-o x.go -prefix p ./internal/sample/payment", exitFail, "-prefix is for one interface"},
		{"-o x.go ./internal/source", exitFail, "no interface of github.com/holdfast-go/holdfast/cmd/holdfastgen/internal/source declares a policy"},
		{"-o x.go -type Service -prefix a.name.that.is.too.long.for.a.guard.to.have.in.this.library ./internal/sample/payment", exitFail, "payment.go:32:2: invalid policy: guard.Name is longer than 64 bytes"},
		{"-check -o testdata/none.go ./internal/sample/payment", exitFail, "testdata/none.go: is missing"},
		{"-check -o recipe.go ./internal/sample/payment", exitFail, "recipe.go: is stale"},
		{"-o testdata/foreign/x.go -type Plain,hidden " + foreign, exitFail, "Plain declares no policy"},
		{"-check ./testdata/none", exitFail, "testdata/none"},
		{"-check ./internal/source", exitOK, ""},
	} {
		t.Run(tt.args, func(t *testing.T) {
			args := strings.Fields(strings.ReplaceAll(tt.args, "-o x.go", "-o "+filepath.Join(t.TempDir(), "x.go")))
			status, said := try(t, ".", args...)
			if status != tt.status || !strings.Contains(said, tt.said) {
				t.Errorf("status %d, %q; want %d, %q", status, said, tt.status, tt.said)
			}
			if tt.status == exitOK && tt.said == "" && said != "" {
				t.Errorf("it says %q", said)
			}
		})
	}
}

// TestGenerated: the committed files are what is generated now, and compile: those of the
// sample with this module, and here those with all that can get in the way.
func TestGenerated(t *testing.T) {
	status, said := try(t, ".", "-check", "./internal/sample/...", "./testdata/tricky/app", "./testdata/tricky/own")
	if status != exitOK || said != "" {
		t.Errorf("status %d: %s", status, said)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "vet", "./testdata/tricky/...").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestCollision: a name that is in use already is told before the compiler does.
func TestCollision(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "other.go"), []byte("package other\n\nfunc NewPaymentMailerGuard() {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, said := try(t, ".", "-o", filepath.Join(folder, "guards.go"), "-type", "Mailer", "./internal/sample/payment")
	if want := "other.go:3:6: NewPaymentMailerGuard is what"; status != exitFail || !strings.Contains(said, want) {
		t.Errorf("status %d, %q; want %q", status, said, want)
	}
}
