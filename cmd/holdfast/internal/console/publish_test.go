package console_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// file writes a file of policies.
func (s *shell) file(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// TestTheStoryOfAPolicy is what an operator types who changes a limit, and goes back.
func TestTheStoryOfAPolicy(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	slow := s.file("slow.json", `{"policies": {"api": "rate_limit(50/s)", "mail": "timeout(2s)"}, "operations": {"send": "mail"}}`)
	fast := s.file("fast.json", `{"policies": {"api": "rate_limit(200/s)", "mail": "timeout( 2s )"}, "default": "mail"}`)
	s.want(`nothing is published`, "policy show")
	s.want(`\+ operation send: mail\n\+ policy api: rate_limit\(50/s\)\n\+ policy mail: timeout\(2s\)\n$`, "policy diff", slow)
	first := version(t, s.want(`version \d+ is published`, "policy apply", slow, "--reason", "too many calls"))
	s.want(`it says the same as version `+first, "policy diff", slow)
	s.want(`^\+ default: mail\n- operation send: mail\n- policy api: rate_limit\(50/s\)\n\+ policy api: rate_limit\(200/s\)\n$`, "policy diff", fast)
	s.want(`"differences": \[\s+"\+ default: mail"`, "policy diff", "--json", fast)
	second := version(t, s.want(`version \d+ is published`, "policy apply", fast, "--reason", "more room", "--after", first))
	s.want(`version `+second+`, published .* by ann@desk: more room\n.*200/s`, "policy show")
	if exit, _, errs := s.run("policy apply", slow, "--reason", "late", "--after", first); exit != 1 || !strings.Contains(errs, "version "+second+" is in force") {
		t.Errorf("who is late: status %d, %s", exit, errs)
	}
	s.want(`version \d+ is published`, "policy apply", slow, "--shadow", "--reason", "tried")
	s.want(`shadow: checked, and not applied`, "policy show")
	s.want(`version \d+ is published`, "policy rollback", "--reason", "worse")
	s.want(`50/s`, "policy show")
	s.want(`version \d+ is published`, "policy rollback", second, "--reason", "not worse after all")
	s.want(`200/s`, "policy show")
	s.want(`VERSION +TIME +WHO +SHADOW +WHY\n\d+ .* false +not worse after all\n.*true +tried.*`+first+` .* too many calls\n$`, "policy history")
	s.want(`"publications": \[\s+\{\s+"by": "ann@desk"`, "policy history", "--json")
}

func version(t *testing.T, printed string) string {
	t.Helper()
	found := regexp.MustCompile(`\d+`).FindString(printed)
	if found == "" {
		t.Fatal(printed)
	}
	return found
}

// TestPoliciesThatAreNotPublished: a file with a mistake, or a command line with one.
func TestPoliciesThatAreNotPublished(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	good := s.file("good.json", `{"policies": {"api": "timeout(1s)"}}`)
	bad := s.file("bad.json", `{"policies": {"api": "timeuot(1s)"}}`)
	environment := s.file("env.json", `{"policies": {"api": "timeout(${env:TIMEOUT})"}}`)
	for _, tt := range []struct {
		exit int
		want string
		line []string
	}{
		{1, "did you mean timeout?", []string{"policy apply", bad, "--reason", "x"}},
		{1, "did you mean timeout?", []string{"policy diff", bad}},
		{1, "TIMEOUT", []string{"policy apply", environment, "--reason", "x"}},
		{2, "Reason is missing", []string{"policy apply", good}},
		{2, "no such file", []string{"policy apply", good + "x", "--reason", "x"}},
		{2, "takes one FILE", []string{"policy apply", "--reason", "x"}},
		{2, "takes one FILE", []string{"policy diff"}},
		{2, "no arguments", []string{"policy show", "x"}},
		{2, "no arguments", []string{"policy history", "x"}},
		{2, "is no version", []string{"policy rollback", "x", "--reason", "x"}},
		{2, "one VERSION", []string{"policy rollback", "1", "2", "--reason", "x"}},
		{1, "no such publication", []string{"policy rollback", "--reason", "x"}},
	} {
		exit, out, errs := s.run(tt.line...)
		if exit != tt.exit || out != "" || !strings.Contains(errs, tt.want) {
			t.Errorf("holdfast %s: status %d, %q, %q; want %d, %q", strings.Join(tt.line, " "), exit, out, errs, tt.exit, tt.want)
		}
	}
	if keys := s.server.Keys(); len(keys) > 0 {
		t.Errorf("it left %v behind", keys)
	}
}
