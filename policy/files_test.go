package policy_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/policy"
)

// update writes down what the files say now, for somebody to read.
var update = flag.Bool("update", false, "write the .want files")

// environment is that of all files in testdata.
func environment(name string) (string, bool) {
	value, ok := map[string]string{"ATTEMPTS": "4", "DEADLINE": "2s", "EMPTY": "", "POLICY": "timeout(1s)"}[name]
	return value, ok
}

// TestFiles: each file in testdata means what the file .want beside it says, or is refused
// for the reason that it says.
func TestFiles(t *testing.T) {
	for _, good := range []bool{true, false} {
		files := corpus(t, good)
		if len(files) < 25 {
			t.Errorf("there are only %d files", len(files))
		}
		for _, file := range files {
			got, ok := reading(t, file)
			if *update {
				if err := os.WriteFile(file+".want", []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file + ".want")
			if err != nil || got != string(want) || ok != good {
				t.Errorf("%s is\n%swant (%v)\n%s", file, got, err, want)
			}
		}
	}
}

// corpus are the files of one kind.
func corpus(t testing.TB, good bool) []string {
	t.Helper()
	folder := map[bool]string{true: "good", false: "bad"}[good]
	files, err := filepath.Glob("testdata/files/" + folder + "/*")
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(files, func(file string) bool { return filepath.Ext(file) == ".want" })
}

// reading is what a file means, or the error that it gives.
func reading(t *testing.T, file string) (text string, ok bool) {
	t.Helper()
	var err error
	data := contents(t, file)
	set := &policy.Set{Policies: make(map[string]hold.Policy)}
	if filepath.Ext(file) == ".txt" {
		set.Policies["policy"], set.Deprecated, err = policy.ReadText(data)
	} else {
		set, err = policy.ReadJSON(data, environment)
	}
	if err != nil {
		return err.Error() + "\n", false
	}
	return describe(set), true
}

func contents(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func describe(set *policy.Set) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(set.Policies)) {
		fmt.Fprintf(&b, "%s = %s\n", name, set.Policies[name])
	}
	for _, operation := range slices.Sorted(maps.Keys(set.Operations)) {
		fmt.Fprintf(&b, "operation %s = %s\n", operation, set.Operations[operation])
	}
	if set.Default != "" {
		fmt.Fprintf(&b, "default = %s\n", set.Default)
	}
	for _, old := range set.Deprecated {
		fmt.Fprintln(&b, old)
	}
	return b.String()
}
