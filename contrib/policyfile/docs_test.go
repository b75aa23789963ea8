package policyfile

import (
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/policy"
)

// TestDocs: what the docs show as a file or a policy is one.
func TestDocs(t *testing.T) {
	blocks := strings.Split(string(contents(t, "../../docs/policies.md")), "\n```")
	seen := make(map[string]int)
	for i := 1; i < len(blocks); i += 2 {
		language, text, _ := strings.Cut(blocks[i], "\n")
		var err error
		switch language {
		case "yaml":
			_, err = ReadYAML([]byte(text), nil)
		case "json":
			_, err = policy.ReadJSON([]byte(text), nil)
		case "policy":
			_, err = policy.Parse(text)
		}
		if err != nil {
			t.Errorf("%s: %v\n%s", language, err, text)
		}
		seen[language]++
	}
	if seen["yaml"] < 5 || seen["json"] < 1 || seen["policy"] < 2 {
		t.Errorf("there are only %v", seen)
	}
}

// TestDocsSayTheSameTwice: the first file in YAML is that in JSON, and the comment over a
// policy that extends another one is what it comes to.
func TestDocsSayTheSameTwice(t *testing.T) {
	docs := string(contents(t, "../../docs/policies.md"))
	block := func(language, with string) []byte {
		for part := range strings.SplitSeq(docs, "\n```"+language+"\n") {
			if text, _, ok := strings.Cut(part, "\n```"); ok && strings.Contains(text, with) {
				return []byte(text)
			}
		}
		t.Fatalf("no %s with %q", language, with)
		return nil
	}
	asYAML, err := ReadYAML(block("yaml", "800ms"), nil)
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := policy.ReadJSON(block("json", "800ms"), nil)
	if one, other := describe(asYAML, nil), describe(asJSON, err); one != other {
		t.Errorf("as YAML it is\n%s\nas JSON\n%s", one, other)
	}
	heir := block("yaml", "max_elapsed=4s")
	set, err := ReadYAML(heir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := "# " + set.Policies["payments"].String() + "\n"; !strings.Contains(string(heir), want) {
		t.Errorf("the comment should be %s", want)
	}
}
