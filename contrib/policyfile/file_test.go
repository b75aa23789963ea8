package policyfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/policy"
)

// TestLoad: by the end of its name, and with the file's name in the error.
func TestLoad(t *testing.T) {
	t.Setenv("DEADLINE", "2s")
	folder := t.TempDir()
	for name, tt := range map[string]struct{ text, want string }{
		"a.yaml": {"policies: {a: 'timeout(${env:DEADLINE})'}", ""},
		"a.yml":  {"policies: {a: none}", ""},
		"A.JSON": {`{"policies": {"a": "none"}}`, ""},
		"b.json": {"policies: {a: none}", "b.json: line 1, column 1: it is no JSON"},
		"b.yaml": {"policies: {a: nun}", `b.yaml: line 1, column 15: "nun" is no kind of policy`},
		"a.toml": {"", "a.toml: the name of a file of policies ends in .yaml, .yml or .json"},
	} {
		path := filepath.Join(folder, name)
		put(t, path, tt.text)
		set, err := Load(path)
		if tt.want == "" {
			if err != nil || len(set.Policies) != 1 {
				t.Errorf("%s: %v, %v", name, set, err)
			}
			continue
		}
		if err == nil || set != nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, %v; want %q", name, set, err, tt.want)
		}
	}
	if _, err := Load(filepath.Join(folder, "b.yaml")); !isSyntax(err) {
		t.Errorf("%#v", err)
	}
	if _, err := Load(filepath.Join(folder, "none.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func isSyntax(err error) bool {
	_, ok := errors.AsType[*policy.SyntaxError](err)
	return ok
}
