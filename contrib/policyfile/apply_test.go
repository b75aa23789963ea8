package policyfile_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/holdfast-go/holdfast/contrib/policyfile"
	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/internal/leaktest"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/policy"
	"github.com/holdfast-go/holdfast/store/memory"
)

// A shop has guards a, b and c, each with a timeout of a minute.
func newShop(t *testing.T) *orchestrator.Orchestrator {
	t.Helper()
	leaktest.Check(t)
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := orch.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	for _, name := range []string{"c", "a", "b"} {
		if _, err := orch.Guard(name, hold.Timeout{Duration: time.Minute}); err != nil {
			t.Fatal(err)
		}
	}
	return orch
}

func read(t *testing.T, text string) *policy.Set {
	t.Helper()
	set, err := policyfile.ReadYAML([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// policiesOf are those of the guards a, b and c.
func policiesOf(orch *orchestrator.Orchestrator) (texts []string) {
	for _, g := range orch.Guards() {
		texts = append(texts, g.Policy().String())
	}
	return texts
}

// TestApply: which guards change, and what is told of them.
func TestApply(t *testing.T) {
	for name, tt := range map[string]struct {
		file    string
		changed []string
		want    []string
	}{
		"nothing":              {"policies: {}", nil, []string{"timeout(1m)", "timeout(1m)", "timeout(1m)"}},
		"what is so already":   {"policies: {a: timeout(1m)}", nil, []string{"timeout(1m)", "timeout(1m)", "timeout(1m)"}},
		"by its own name":      {"policies: {b: timeout(1s), d: timeout(2s)}", []string{"b"}, []string{"timeout(1m)", "timeout(1s)", "timeout(1m)"}},
		"by its operation":     {"policies: {quick: timeout(1s)}\noperations: {a: quick, c: quick}", []string{"a", "c"}, []string{"timeout(1s)", "timeout(1m)", "timeout(1s)"}},
		"others get a default": {"policies: {quick: timeout(1s), b: none}\ndefault: quick", []string{"a", "b", "c"}, []string{"timeout(1s)", "none", "timeout(1s)"}},
	} {
		t.Run(name, func(t *testing.T) {
			orch := newShop(t)
			before := policiesOf(orch)
			changes, err := policyfile.Apply(orch, read(t, tt.file))
			if got := policiesOf(orch); err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("there are %v, %v; want %v", got, err, tt.want)
			}
			var changed []string
			for _, c := range changes {
				changed = append(changed, c.Guard)
				i := slices.Index([]string{"a", "b", "c"}, c.Guard)
				if c.Before.String() != before[i] || c.After.String() != tt.want[i] {
					t.Errorf("it tells of %v", c)
				}
			}
			if !slices.Equal(changed, tt.changed) {
				t.Errorf("it tells of %v; want %v", changed, tt.changed)
			}
		})
	}
}

// TestApplyIsAllOrNone: a policy that one guard cannot have leaves all as they were.
func TestApplyIsAllOrNone(t *testing.T) {
	orch := newShop(t)
	before := policiesOf(orch)
	changes, err := policyfile.Apply(orch, read(t, `
policies:
  a: timeout(1s)
  b: circuit_breaker(probe_lease=1s) > timeout(1m)
`))
	if got := policiesOf(orch); !errors.Is(err, hold.ErrInvalidPolicy) || changes != nil || !slices.Equal(got, before) {
		t.Errorf("there are %v, %v and changes %v", got, err, changes)
	}
}
