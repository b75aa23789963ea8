package policycheck

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const corpus = "../../policy/testdata/files"

// environment is that of the corpus.
func environment(name string) (string, bool) {
	value, ok := map[string]string{"ATTEMPTS": "4", "DEADLINE": "2s", "EMPTY": "", "POLICY": "timeout(1s)"}[name]
	return value, ok
}

// run is the command. Its arguments stand in one line.
func run(line string) (status int, out, errs string) {
	var o, e bytes.Buffer
	status = Run(strings.Fields(line), Surround{
		Program: "check", Formats: Basic(), Elsewhere: "YAML is elsewhere", Out: &o, Errs: &e, Lookup: environment,
	})
	return status, o.String(), e.String()
}

// TestCorpus: each good file is accepted and each bad one refused, with its place as editors
// know it.
func TestCorpus(t *testing.T) {
	seen := 0
	for folder, want := range map[string]int{"good": accepted, "bad": refused} {
		files, err := filepath.Glob(filepath.Join(corpus, folder, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if filepath.Ext(file) == ".want" {
				continue
			}
			seen++
			status, out, errs := run(file)
			if status != want || errs != "" || !strings.HasPrefix(out, file+":") {
				t.Errorf("%s: status %d, %q, %q; want %d", file, status, out, errs, want)
			}
			if want == refused {
				data, err := os.ReadFile(file + ".want") // "line 3, column 5: …"
				if err != nil {
					t.Fatal(err)
				}
				asPlace := strings.NewReplacer("line ", "", ", column ", ":")
				place, text, _ := strings.Cut(string(data), ": ")
				if got := file + ":" + asPlace.Replace(place) + ": " + text; out != got {
					t.Errorf("%s:\n%swant\n%s", file, out, got)
				}
			}
		}
	}
	if seen < 100 {
		t.Errorf("the corpus has only %d files", seen)
	}
}

// TestSeveralFiles: all are checked, whatever is wrong with one of them.
func TestSeveralFiles(t *testing.T) {
	good, bad, old := corpus+"/good/operations.json", corpus+"/bad/kind.txt", corpus+"/good/deprecated.txt"
	for line, want := range map[string]struct {
		status int
		out    string
	}{
		good:                     {accepted, good + ": ok: 2 policies, 2 operations\n"},
		corpus + "/good/all.txt": {accepted, corpus + "/good/all.txt: ok: 1 policy\n"},
		bad + " " + good:         {refused, "kind.txt:2:5: \"retyr\" is no kind"},
		old:                      {accepted, old + ":2:10: max_retries=3 is deprecated; write max_attempts=4\n" + old + ": ok: 1 policy\n"},
		"-strict " + old:         {refused, old + ":2:10: max_retries=3 is deprecated; write max_attempts=4\n"},
		old + " --strict":        {refused, "deprecated"},
		good + " nowhere.json":   {misuse, good + ": ok"},
		bad + " nowhere.json":    {misuse, "kind.txt:2:5"},
	} {
		if status, out, _ := run(line); status != want.status || !strings.Contains(out, want.out) {
			t.Errorf("check %s: status %d\n%swant %d\n%s", line, status, out, want.status, want.out)
		}
	}
}

// TestMisuse is one line on standard error.
func TestMisuse(t *testing.T) {
	for line, want := range map[string]string{
		"":             "check: which files?; see check -h\n",
		"a.yaml":       "check: a.yaml ends in none of .json, .txt; YAML is elsewhere; see check -h\n",
		"--nope":       "check: flag provided but not defined: -nope; see check -h\n",
		"nowhere.json": "check: open nowhere.json: no such file or directory\n",
	} {
		if status, out, errs := run(line); status != misuse || out != "" || errs != want {
			t.Errorf("check %s: status %d, %q, %q; want %q", line, status, out, errs, want)
		}
	}
	if status, out, _ := run("-h"); status != accepted || !strings.Contains(out, "-strict") || !strings.Contains(out, ".json, .txt") {
		t.Errorf("-h: status %d\n%s", status, out)
	}
}

// TestJSON: what machines read is one object.
func TestJSON(t *testing.T) {
	status, out, _ := run("--json " + corpus + "/good/operations.json " + corpus + "/good/deprecated.txt " + corpus + "/bad/text.json")
	var got struct{ Files []report }
	decoder := json.NewDecoder(strings.NewReader(out))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&got); err != nil || decoder.More() || status != refused || len(got.Files) != 3 {
		t.Fatalf("status %d, %v\n%s", status, err, out)
	}
	if f := got.Files[0]; !f.OK || f.Policies["slow"] != "timeout(1m)" || f.Operations["charge"] != "quick" || f.Default != "quick" {
		t.Errorf("%+v", f)
	}
	if f := got.Files[1]; !f.OK || len(f.Deprecated) != 1 || f.Deprecated[0] != (deprecation{2, 10, "max_retries=3", "max_attempts=4"}) {
		t.Errorf("%+v", f)
	}
	if f := got.Files[2]; f.OK || len(f.Errors) != 1 || f.Errors[0].Line != 3 || f.Errors[0].Column != 32 || !strings.HasPrefix(f.Errors[0].Message, `"retyr" is`) {
		t.Errorf("%+v", f)
	}
}

// TestWriteError: what cannot be printed has not been checked.
func TestWriteError(t *testing.T) {
	var errs bytes.Buffer
	status := Run([]string{corpus + "/good/none.txt"}, Surround{Program: "check", Formats: Basic(), Out: full{}, Errs: &errs})
	if status != misuse || errs.String() != "check: file already closed\n" {
		t.Errorf("status %d, %q", status, &errs)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, os.ErrClosed }
