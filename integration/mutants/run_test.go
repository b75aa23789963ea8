package main

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestTable holds the table to the code: whoever changes a line that a bug is
// put into hears of it here, not when somebody tries all of them.
func TestTable(t *testing.T) {
	root, err := repository(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, m := range table() {
		if names[m.name] {
			t.Errorf("%s: there are two of this name", m.name)
		}
		names[m.name] = true
		text, err := os.ReadFile(filepath.Join(root, m.file))
		if err != nil {
			t.Errorf("%s: %v", m.name, err)
			continue
		}
		if changed, err := m.apply(string(text)); err != nil || changed == string(text) {
			t.Errorf("%s: %s: it changes nothing, or %v", m.name, m.file, err)
		}
		if len(m.packages) == 0 {
			t.Errorf("%s: nobody has to notice", m.name)
		}
		for _, name := range m.packages {
			if tests, _ := filepath.Glob(filepath.Join(root, name, "*_test.go")); len(tests) == 0 {
				t.Errorf("%s: %s has no tests", m.name, name)
			}
		}
	}
}

// sound is a small module, with what its tests notice and what they do not.
func sound() map[string]string {
	return map[string]string{
		"go.mod":         "module example.org/sound\n\ngo 1.26\n",
		"sum/sum.go":     "package sum\n\n// Of adds.\nfunc Of(a, b int) int { return a + b }\n",
		"sum/of_test.go": "package sum\n\nimport \"testing\"\n\nfunc TestOf(t *testing.T) {\n\tt.Run(\"two\", func(t *testing.T) {\n\t\tif Of(2, 3) != 5 {\n\t\t\tt.Error(\"no\")\n\t\t}\n\t})\n}\n",
		"use/use.go":     "package use\n\nimport \"example.org/sound/sum\"\n\n// Twice doubles.\nfunc Twice(a int) int { return sum.Of(a, a) }\n",
		"use/us_test.go": "package use\n\nimport \"testing\"\n\nfunc TestTwice(t *testing.T) {\n\tif Twice(1) != 2 {\n\t\tt.Error(\"no\")\n\t}\n}\n",
	}
}

// write makes a folder of these files.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// untimed is a report without the times, which nobody can know before.
func untimed(report string) string {
	return regexp.MustCompile(`(, |\()[0-9.]+m?s\)`).ReplaceAllString(report, "$1-)")
}

func TestLab(t *testing.T) {
	const plus = "return a + b"
	both := []string{"./sum", "./use"}
	for _, c := range []struct {
		why  string
		m    mutant
		want string // the line, without the time
		fine bool
	}{
		{
			"the first package whose test fails has caught it",
			mutant{"it subtracts", "sum/sum.go", plus, "return a - b", both},
			"caught  by ./sum TestOf/two: it subtracts (sum/sum.go, -)\n1 caught, 0 missed\n", true,
		},
		{
			"also when it is not the first of all",
			mutant{"ones are two", "sum/sum.go", plus, "if a == 1 {\n\t\treturn 1\n\t}\n\treturn a + b", both},
			"caught  by ./use TestTwice: ones are two (sum/sum.go, -)\n1 caught, 0 missed\n", true,
		},
		{
			"a panic is a catch",
			mutant{"it panics", "sum/sum.go", plus, "panic(b)", both},
			"caught  by ./sum TestOf/two: it panics (sum/sum.go, -)\n1 caught, 0 missed\n", true,
		},
		{
			"what is not there cannot be changed",
			mutant{"it multiplies", "sum/sum.go", "return a - b", "return a * b", both},
			"ERROR   cannot be applied: the old text occurs 0 times: it multiplies (sum/sum.go, -)\n" +
				"1 could not be tried: the table is wrong\n0 caught, 0 missed\n", false,
		},
		{
			"what changes nothing is missed",
			mutant{"it adds backwards", "sum/sum.go", plus, "return b + a", both},
			"MISSED  it adds backwards (sum/sum.go, -)\n0 caught, 1 missed\n", false,
		},
		{
			"a bug that stands in two places could be either",
			mutant{"it is called so", "sum/sum.go", "int", "int64", both},
			"ERROR   cannot be applied: the old text occurs 2 times: it is called so (sum/sum.go, -)\n" +
				"1 could not be tried: the table is wrong\n0 caught, 0 missed\n", false,
		},
		{
			"what does not compile was looked at by no test",
			mutant{"it is no number", "sum/sum.go", plus, `return "a"`, both},
			"ERROR   does not compile: # example.org/sound/sum [example.org/sound/sum.test]\n" +
				"sum/sum.go:4:32: cannot use \"a\" (untyped string constant) as int value in return statement: " +
				"it is no number (sum/sum.go, -)\n1 could not be tried: the table is wrong\n0 caught, 0 missed\n", false,
		},
	} {
		dir := write(t, sound())
		var out bytes.Buffer
		err := (&lab{dir, &out}).run(t.Context(), []mutant{c.m})
		_, report, _ := strings.Cut(untimed(out.String()), "passed  (-)\n")
		if report != c.want || (err == nil) != c.fine {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.why, err, out.String(), c.want)
		}
		for name, text := range sound() {
			if left, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(left) != text {
				t.Errorf("%s: %s was not restored: %v", c.why, name, err)
			}
		}
	}
}

// Tests that fail by themselves catch nothing.
func TestBaseline(t *testing.T) {
	files := sound()
	files["sum/sum.go"] = strings.Replace(files["sum/sum.go"], "a + b", "a - b", 1)
	m := mutant{"it adds", "sum/sum.go", "a - b", "a * b", []string{"./sum"}}
	var out bytes.Buffer
	err := (&lab{write(t, files), &out}).run(t.Context(), []mutant{m})
	if !errors.Is(err, errBroken) || !strings.Contains(out.String(), "failed  by TestOf/two\n") || strings.Contains(out.String(), "caught") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// A test that never ends is a catch, too: the go command ends it.
func TestReadOfATestThatDidNotEnd(t *testing.T) {
	got, err := read([]byte(`{"Action":"run","Package":"p","Test":"TestEnds"}
{"Action":"pass","Package":"p","Test":"TestEnds"}
{"Action":"run","Package":"p","Test":"TestHangs"}
{"Action":"output","Package":"p","Output":"panic: test timed out after 2m0s\n"}
{"Action":"fail","Package":"p"}
`))
	want := outcome{failed: true, test: "TestHangs (did not end)", text: "panic: test timed out after 2m0s\n"}
	if got != want || err != nil {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if _, err := read([]byte("go: no such tool\n")); err == nil {
		t.Error("what is not JSON was taken for a run of tests")
	}
}

// The copy has what git knows or would add, as it is now.
func TestCopyTracked(t *testing.T) {
	from, to := write(t, map[string]string{
		".gitignore": "*.out\n", "kept.go": "as it was", "deep/new.go": "new", "gone.go": "gone", "junk.out": "junk",
	}), t.TempDir()
	for _, args := range [][]string{{"init", "-q"}, {"add", ".gitignore", "kept.go", "gone.go"}} {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = from
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	if err := errors.Join(
		os.Remove(filepath.Join(from, "gone.go")),
		os.WriteFile(filepath.Join(from, "kept.go"), []byte("as it is"), 0o600),
		copyTracked(t.Context(), from, to),
	); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, pattern := range []string{"*", ".git*", "*/*"} {
		paths, _ := filepath.Glob(filepath.Join(to, pattern))
		for _, path := range paths {
			if text, err := os.ReadFile(path); err == nil {
				name, _ := filepath.Rel(to, path)
				got[filepath.ToSlash(name)] = string(text)
			}
		}
	}
	want := map[string]string{".gitignore": "*.out\n", "kept.go": "as it is", "deep/new.go": "new"}
	if !maps.Equal(got, want) {
		t.Errorf("it has %q; want %q", got, want)
	}
}

func TestCommandLine(t *testing.T) {
	for _, c := range []struct {
		args []string
		want int
	}{
		{[]string{"-list", "-run", "bill"}, exitOK},
		{[]string{"-list", "-run", "no bug is called so"}, exitMisuse},
		{[]string{"-run", "("}, exitMisuse},
		{[]string{"-list", "bill"}, exitMisuse},
		{[]string{"-faster"}, exitMisuse},
	} {
		var out, errs bytes.Buffer
		if got := run(t.Context(), c.args, &out, &errs); got != c.want || (got == exitOK) != (errs.Len() == 0) {
			t.Errorf("%v: %d; want %d\n%s", c.args, got, c.want, errs.String())
		}
	}
	picked, err := pick(table(), "^script: a bill")
	if err != nil || len(picked) != 1 || !slices.Contains(picked[0].packages, "./store/redis") {
		t.Errorf("picked %+v, %v", picked, err)
	}
}
