package policyfile

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/holdfast-go/holdfast/policy"
)

// update writes down what the files say now, for somebody to read.
var update = flag.Bool("update", false, "write the .want files")

// The files of this module, and those of the root, which are JSON and text.
const (
	ours  = "testdata"
	roots = "../../policy/testdata/files"
)

// environment is that of all files.
func environment(name string) (string, bool) {
	value, ok := map[string]string{"ATTEMPTS": "4", "DEADLINE": "2s", "EMPTY": "", "POLICY": "timeout(1s)"}[name]
	return value, ok
}

// TestFiles: each file in testdata means what the file .want beside it says, or is refused
// for the reason that it says.
func TestFiles(t *testing.T) {
	for _, good := range []bool{true, false} {
		for _, file := range corpus(t, ours, good) {
			set, err := ReadYAML(contents(t, file), environment)
			got := describe(set, err)
			if *update {
				if err := os.WriteFile(file+".want", []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if want := string(contents(t, file+".want")); got != want || good != (err == nil) {
				t.Errorf("%s is\n%swant\n%s", file, got, want)
			}
		}
	}
}

// TestJSONIsYAML: files in JSON mean the same, and are refused with the same words at the
// same place, when they are read as YAML. Only what is no JSON has words of its own.
func TestJSONIsYAML(t *testing.T) {
	same := 0
	for _, good := range []bool{true, false} {
		for _, file := range corpus(t, roots, good) {
			want := string(contents(t, file+".want"))
			if filepath.Ext(file) != ".json" || strings.Contains(want, "it is no JSON") ||
				slices.Contains([]string{"cut-off.json", "two-documents.json"}, filepath.Base(file)) {
				continue
			}
			set, err := ReadYAML(contents(t, file), environment)
			if got := describe(set, err); got != want {
				t.Errorf("%s is\n%swant\n%s", file, got, want)
			}
			same++
		}
	}
	if same < 80 {
		t.Errorf("only %d files were compared", same)
	}
}

// TestSchema: all good files fit the schema that editors use, and what does not fit it is
// refused by the reader, too.
func TestSchema(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("../../docs/policyfile.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	caught := 0
	for _, folder := range []string{ours, roots} {
		for _, good := range []bool{true, false} {
			for _, file := range corpus(t, folder, good) {
				root, err := parse(contents(t, file))
				if err != nil || filepath.Ext(file) == ".txt" || strings.Contains(string(contents(t, file+".want")), "stands twice") {
					continue // which no schema can judge
				}
				switch err := schema.Validate(value(root)); {
				case good && err != nil:
					t.Errorf("%s does not fit: %v", file, err)
				case err != nil:
					caught++
				}
			}
		}
	}
	if caught < 50 {
		t.Errorf("of the bad files, the schema refuses only %d", caught)
	}
}

// value is a node as the schema's validator knows it.
func value(n *policy.Node) any {
	switch n.Kind {
	case policy.NodeString:
		return n.Text
	case policy.NodeNumber:
		if !json.Valid([]byte(n.Text)) { // as 0x10, which no JSON has
			return 0
		}
		return json.Number(n.Text)
	case policy.NodeBool:
		return n.Text == "true"
	case policy.NodeList:
		list := make([]any, len(n.Items))
		for i, item := range n.Items {
			list[i] = value(item)
		}
		return list
	case policy.NodeObject:
		object := make(map[string]any, len(n.Members))
		for _, m := range n.Members {
			object[m.Key.Text] = value(m.Value)
		}
		return object
	default:
		return nil
	}
}

// corpus are the files of one kind in a folder.
func corpus(t testing.TB, folder string, good bool) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, map[bool]string{true: "good", false: "bad"}[good], "*"))
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	return slices.DeleteFunc(files, func(file string) bool { return filepath.Ext(file) == ".want" })
}

func contents(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func describe(set *policy.Set, err error) string {
	if err != nil {
		return err.Error() + "\n"
	}
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

// FuzzReadYAML: whatever the file, there is a set or an error with a place; and where it is
// JSON, it is read as JSON is.
func FuzzReadYAML(f *testing.F) {
	for _, folder := range []string{ours, roots} {
		for _, good := range []bool{true, false} {
			for _, file := range corpus(f, folder, good) {
				f.Add(contents(f, file))
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := ReadYAML(data, environment)
		if err != nil {
			wrong, ok := errors.AsType[*policy.SyntaxError](err)
			if !ok || set != nil || wrong.Line < 1 || wrong.Column < 1 {
				t.Errorf("%v, %#v", set, err)
			}
			return
		}
		if same, err := policy.ReadJSON(data, environment); err == nil && !reflect.DeepEqual(set, same) {
			t.Errorf("as JSON it is\n%s\nas YAML\n%s", describe(same, nil), describe(set, nil))
		}
	})
}
