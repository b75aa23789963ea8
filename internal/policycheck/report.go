package policycheck

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/holdfast-go/holdfast/policy"
)

// A report is what came of one file.
type report struct {
	File       string            `json:"file"`
	OK         bool              `json:"ok"`
	Policies   map[string]string `json:"policies,omitempty"` // as text
	Operations map[string]string `json:"operations,omitempty"`
	Default    string            `json:"default,omitempty"`
	Errors     []mistake         `json:"errors,omitempty"`
	Deprecated []deprecation     `json:"deprecated,omitempty"`
}

type mistake struct {
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
}

type deprecation struct {
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Old    string `json:"old"`
	New    string `json:"new"`
}

// rejection is the report of a file with a mistake.
func rejection(file string, err error) report {
	m := mistake{Line: 1, Column: 1, Message: err.Error()}
	if wrong, ok := errors.AsType[*policy.SyntaxError](err); ok {
		m = mistake{wrong.Line, wrong.Column, wrong.Message()}
	}
	return report{File: file, Errors: []mistake{m}}
}

// acceptance is the report of a file without one.
func acceptance(file string, set *policy.Set) report {
	r := report{File: file, Policies: make(map[string]string), Operations: set.Operations, Default: set.Default}
	for name, p := range set.Policies {
		r.Policies[name] = p.String()
	}
	for _, d := range set.Deprecated {
		r.Deprecated = append(r.Deprecated, deprecation{d.Line, d.Column, d.Old, d.New})
	}
	return r
}

// write prints reports: as lines that editors know as places in files, or as JSON.
func write(out io.Writer, reports []report, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(struct {
			Files []report `json:"files"`
		}{reports})
	}
	var b strings.Builder
	for _, r := range reports {
		for _, m := range r.Errors {
			fmt.Fprintf(&b, "%s:%d:%d: %s\n", r.File, m.Line, m.Column, m.Message)
		}
		for _, d := range r.Deprecated {
			fmt.Fprintf(&b, "%s:%d:%d: %s is deprecated; write %s\n", r.File, d.Line, d.Column, d.Old, d.New)
		}
		if r.OK {
			fmt.Fprintf(&b, "%s: ok: %s\n", r.File, r.count())
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// count says how much there is in a file.
func (r report) count() string {
	text := several(len(r.Policies), "policy", "policies")
	if n := len(r.Operations); n > 0 {
		text += ", " + several(n, "operation", "operations")
	}
	return text
}

func several(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// ends are the ends of names that have a format.
func (f Formats) ends() []string { return slices.Sorted(maps.Keys(f)) }
