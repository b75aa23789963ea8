package policy_test

import (
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/policy"
)

// TestWhichPolicyAnOperationGets: what it is mapped to, else its namesake, else the default.
func TestWhichPolicyAnOperationGets(t *testing.T) {
	second, minute := hold.Timeout{Duration: time.Second}, hold.Timeout{Duration: time.Minute}
	set, err := policy.ReadJSON([]byte(`{
		"policies": {"quick": "timeout(1s)", "slow": "timeout(1m)"},
		"operations": {"report": "slow", "quick": "slow"}
	}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	for operation, want := range map[string]hold.Policy{"report": minute, "quick": minute, "slow": minute, "other": nil, "": nil} {
		if got, ok := set.For(operation); got != want || ok != (want != nil) {
			t.Errorf("%q gets %v, %v; want %v", operation, got, ok, want)
		}
	}
	set.Default = "quick"
	if got, ok := set.For("other"); got != second || !ok {
		t.Errorf("with a default, others get %v, %v", got, ok)
	}
}

// TestNoEnvironment: without one, references have their defaults only.
func TestNoEnvironment(t *testing.T) {
	if _, err := policy.ReadJSON([]byte(`{"policies": {"a": "timeout(${env:HOME:-1s})"}}`), nil); err != nil {
		t.Error(err)
	}
	_, err := policy.ReadJSON([]byte(`{"policies": {"a": "timeout(${env:HOME})"}}`), nil)
	wrong, ok := errors.AsType[*policy.SyntaxError](err)
	if !ok || !errors.Is(err, hold.ErrInvalidPolicy) || wrong.Position != (policy.Position{Line: 1, Column: 29}) {
		t.Errorf("%#v", err)
	}
}

// TestBadFileSaysWhy: where the file can be read, the domain's error is behind it.
func TestBadFileSaysWhy(t *testing.T) {
	_, err := policy.ReadJSON([]byte(`{"policies": {"a": {"retry": {"max_attempts": -7}}}}`), nil)
	if invalid, ok := errors.AsType[*hold.PolicyError](err); !ok || invalid.Field != "MaxAttempts" {
		t.Errorf("%#v", err)
	}
}

// TestLongFiles are refused unread.
func TestLongFiles(t *testing.T) {
	want := "line 1, column 1: the file is longer than 1048576 bytes"
	long := []byte(strings.Repeat(" ", policy.MaxFile-len(`{"policies":{}}`)) + `{"policies":{}}`)
	if _, err := policy.ReadJSON(long, nil); err != nil {
		t.Error(err)
	}
	long = append(long, ' ')
	if _, err := policy.ReadJSON(long, nil); err == nil || err.Error() != want {
		t.Error(err)
	}
	if _, _, err := policy.ReadText(long); err == nil || err.Error() != want {
		t.Error(err)
	}
}

// FuzzReadJSON: whatever the file, there is a set of valid policies that are read again from
// their own text, or an error with a place in the file.
func FuzzReadJSON(f *testing.F) {
	for _, good := range []bool{true, false} {
		for _, file := range corpus(f, good) {
			f.Add(contents(f, file))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := policy.ReadJSON(data, environment)
		if err != nil {
			lines := strings.Split(string(data), "\n")
			wrong, ok := errors.AsType[*policy.SyntaxError](err)
			if !ok || set != nil || wrong.Line < 1 || wrong.Line > len(lines) || wrong.Column < 1 || wrong.Column > len([]rune(lines[wrong.Line-1]))+1 {
				t.Errorf("%v, %#v", set, err)
			}
			return
		}
		for name, p := range set.Policies {
			if again, err := policy.Parse(p.String()); err != nil || again != p {
				t.Errorf("%s: %s is %v, %v", name, p, again, err)
			}
		}
		for operation, name := range set.Operations {
			if got, ok := set.For(operation); !ok || !reflect.DeepEqual(got, set.Policies[name]) {
				t.Errorf("%q gets %v", operation, got)
			}
		}
	})
}

// TestFilesThatAreMadeToBeSlow are read, or refused, in a moment: a reader whose time grows
// with the square of the file would take minutes.
func TestFilesThatAreMadeToBeSlow(t *testing.T) {
	fill := func(head, item, between, tail string) string {
		n := (policy.MaxFile - len(head) - len(tail)) / (len(item) + len(between) + 7)
		items := make([]string, n)
		for i := range items {
			items[i] = strings.ReplaceAll(item, "#", strconv.Itoa(i))
		}
		return head + strings.Join(items, between) + tail
	}
	wide := strings.TrimSuffix(strings.Repeat("none > ", 63), " > ")
	for name, file := range map[string]string{
		"a list on one line":       fill(`{"policies": {"a": [`, `1`, `,`, `]}}`),
		"names":                    fill(`{"policies": {`, `"p#": "none"`, `,`, `}}`),
		"heirs of many layers":     fill(`{"policies": {"a": "`+wide+`", `, `"p#": {"extends": "a", "layers": ["timeout(1s)"]}`, `,`, `}}`),
		"changes of unknown kinds": fill(`{"policies": {"a": "none", "b": {"extends": "a", "layers": [`, `"k#"`, `,`, `]}}}`),
		"fields":                   fill(`{"policies": {"a": "retry", "b": {"extends": "a", "layers": [{"retry": {`, `"f#": 1`, `,`, `}}]}}}`),
		"escapes":                  `{"policies": {"a": "` + strings.Repeat("$${", 80_000) + `"}}`,
		"references":               `{"policies": {"a": "` + strings.Repeat("${env:NO:-x}", 5_000) + `"}}`,
		"open references":          `{"policies": {"a": "` + strings.Repeat("${env:NO:-${", 80_000) + `"}}`,
		"operations":               fill(`{"policies": {"a": "none"}, "operations": {`, `"o#": "a"`, `,`, `}}`),
	} {
		began := time.Now()
		_, _ = policy.ReadJSON([]byte(file), nil)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: %d bytes took %s", name, len(file), took)
		}
	}
}
