package policyfile

import (
	"strings"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/policy"
)

// TestFilesThatAreMadeToBeSlow are read, or refused, in a moment.
func TestFilesThatAreMadeToBeSlow(t *testing.T) {
	for name, file := range map[string]string{
		"a list on one line":  "policies: [" + strings.Repeat("1,", 125_000) + "]",
		"brackets":            strings.Repeat("[", 62_000),
		"braces":              strings.Repeat("{", 62_000),
		"dashes":              strings.Repeat("- ", 9_000) + "a",
		"keys":                strings.Repeat("? ", 9_000) + "a",
		"anchors":             strings.Repeat("- &a x\n", 35_000),
		"aliases on one line": "a: [&a x," + strings.Repeat("*a,", 75_000) + "]",
		"documents":           strings.Repeat("---\n", 62_000),
		"comments":            strings.Repeat("#\n", 125_000),
		"blanks":              strings.Repeat(" ", 62_000) + "a",
		"an open quote":       `"` + strings.Repeat("a\n", 125_000),
		"a long key":          strings.Repeat("a", 62_000) + ": b",
	} {
		began := time.Now()
		if _, err := ReadYAML([]byte(file), nil); err == nil {
			t.Errorf("%s: it was taken", name)
		}
		if took := time.Since(began); took > 3*time.Second || len(file) > policy.MaxFile {
			t.Errorf("%s: %d bytes took %s", name, len(file), took)
		}
	}
}
