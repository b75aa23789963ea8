package policy

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestSchemaHasEveryField: a field that is added to a policy has to be added to the schema
// that editors use, and one that is taken away has to go. What else the schema says is held
// against the files in testdata by contrib/policyfile.
func TestSchemaHasEveryField(t *testing.T) {
	type definition struct {
		Properties map[string]struct {
			AnyOf []struct{ Enum []string }
		}
		AnyOf []struct {
			Properties map[string]struct{}
		}
	}
	var schema struct {
		Defs map[string]definition `json:"$defs"`
	}
	data, err := os.ReadFile("../docs/policyfile.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	names := slices.Sorted(maps.Keys(schema.Defs["layer"].Properties))
	if want := slices.Sorted(slices.Values(kindNames())); !slices.Equal(names, want) {
		t.Errorf("the schema has the kinds %v; want %v", names, want)
	}
	for _, k := range kinds() {
		got := slices.Collect(maps.Keys(schema.Defs[k.name].Properties))
		for _, one := range schema.Defs[k.name].AnyOf {
			got = slices.AppendSeq(got, maps.Keys(one.Properties))
		}
		slices.Sort(got)
		want := slices.Collect(maps.Keys(k.shape.fields))
		if k.shape.bare != "" {
			want = append(want, k.shape.bare)
		}
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("the schema has the fields %v for %s; want %v", got, k.name, want)
		}
	}
}

// TestDocsHaveEveryField: so has the table of kinds.
func TestDocsHaveEveryField(t *testing.T) {
	docs, err := os.ReadFile("../docs/policies.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kinds() {
		_, row, _ := strings.Cut(string(docs), "\n| `"+k.name+"` |")
		row, _, _ = strings.Cut(row, "\n")
		for name := range k.shape.fields {
			if name != "max_retries" && !strings.Contains(row, "`"+name+"`") {
				t.Errorf("the row of %s lacks %s", k.name, name)
			}
		}
	}
}
