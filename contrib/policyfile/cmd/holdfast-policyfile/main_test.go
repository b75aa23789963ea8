package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

// TestCorpus: the files of this module and those of the root are accepted and refused as
// they are meant to be.
func TestCorpus(t *testing.T) {
	environment := func(name string) (string, bool) {
		value, ok := map[string]string{"ATTEMPTS": "4", "DEADLINE": "2s", "EMPTY": "", "POLICY": "timeout(1s)"}[name]
		return value, ok
	}
	for _, folder := range []string{"../../testdata", "../../../../policy/testdata/files"} {
		for kind, want := range map[string]int{"good": 0, "bad": 1} {
			files, err := filepath.Glob(filepath.Join(folder, kind, "*"))
			if err != nil || len(files) < 20 {
				t.Fatal(files, err)
			}
			for _, file := range files {
				if filepath.Ext(file) == ".want" {
					continue
				}
				var out, errs bytes.Buffer
				if got := run([]string{"check", file}, &out, &errs, environment); got != want || errs.Len() > 0 || !strings.HasPrefix(out.String(), file+":") {
					t.Errorf("%s: status %d, %q, %q; want %d", file, got, &out, &errs, want)
				}
			}
		}
	}
}

func TestMisuse(t *testing.T) {
	for line, want := range map[string]string{
		"":                    "holdfast-policyfile: it takes check and files",
		"chekc a.yaml":        "holdfast-policyfile: it takes check and files",
		"check":               "holdfast-policyfile check: which files?",
		"check a.toml":        "ends in none of .json, .txt, .yaml, .yml; see",
		"check no/where.yaml": "no such file",
	} {
		var out, errs bytes.Buffer
		if got := run(strings.Fields(line), &out, &errs, nil); got != 2 || out.Len() > 0 || !strings.Contains(errs.String(), want) || strings.Count(errs.String(), "\n") != 1 {
			t.Errorf("%q: status %d, %q, %q; want 2 and %q", line, got, &out, &errs, want)
		}
	}
	var out bytes.Buffer
	if got := run([]string{"-h"}, &out, nil, nil); got != 0 || !strings.Contains(out.String(), ".yaml") {
		t.Errorf("-h: status %d, %s", got, &out)
	}
}
