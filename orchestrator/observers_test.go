package orchestrator_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/holdfast-go/holdfast/orchestrator"
)

// A chorus is what its voices were told, in order.
type chorus struct{ lines []string }

func (c *chorus) sing(voice, what string) { c.lines = append(c.lines, voice+" "+what) }

// A voice is an observer that adds its name to the context.
type voice struct {
	name   string
	chorus *chorus
	shrill bool // panics at the end
	mute   bool // adds nothing, and gives no context
}

type voicesKey struct{}

func voices(ctx context.Context) string {
	said, _ := ctx.Value(voicesKey{}).(string)
	return said
}

func (v voice) Start(ctx context.Context, guard string) context.Context {
	v.chorus.sing(v.name, fmt.Sprintf("starts %s in %q", guard, voices(ctx)))
	if v.mute {
		return nil
	}
	return context.WithValue(ctx, voicesKey{}, voices(ctx)+v.name)
}

func (v voice) End(ctx context.Context, s orchestrator.Summary) {
	v.chorus.sing(v.name, fmt.Sprintf("ends %s in %q", s.Guard, voices(ctx)))
	if v.shrill {
		panic(errOther)
	}
}

// A partVoice hears of parts, too.
type partVoice struct{ voice }

func (v partVoice) Observe(ctx context.Context, s orchestrator.Step) {
	v.chorus.sing(v.name, fmt.Sprintf("hears %s %s in %q", s.Part, s.Result, voices(ctx)))
}

// TestObservers: each hears of everything that it asks for, and contexts nest.
func TestObservers(t *testing.T) {
	for _, tt := range []struct {
		name  string
		make  func(c *chorus) []orchestrator.Observer
		panic bool
		want  []string
	}{
		{
			name: "in order, and back again; who hears of parts hears of them",
			make: func(c *chorus) []orchestrator.Observer {
				return []orchestrator.Observer{partVoice{voice{name: "a", chorus: c}}, nil, voice{name: "b", chorus: c}, partVoice{voice{name: "c", chorus: c}}}
			},
			want: []string{
				`a starts g in ""`, `b starts g in "a"`, `c starts g in "ab"`,
				`a hears breaker allowed in "abc"`, `c hears breaker allowed in "abc"`,
				`a hears breaker reported in "abc"`, `c hears breaker reported in "abc"`,
				`c ends g in "abc"`, `b ends g in "abc"`, `a ends g in "abc"`,
			},
		},
		{
			name: "one that gives no context",
			make: func(c *chorus) []orchestrator.Observer {
				return []orchestrator.Observer{voice{name: "a", chorus: c, mute: true}, voice{name: "b", chorus: c}}
			},
			want: []string{`a starts g in ""`, `b starts g in ""`, `b ends g in "b"`, `a ends g in "b"`},
		},
		{
			name: "one that panics keeps nothing from the others",
			make: func(c *chorus) []orchestrator.Observer {
				return []orchestrator.Observer{voice{name: "a", chorus: c}, voice{name: "b", chorus: c, shrill: true}, voice{name: "c", chorus: c}}
			},
			panic: true,
			want: []string{
				`a starts g in ""`, `b starts g in "a"`, `c starts g in "ab"`,
				`c ends g in "abc"`, `b ends g in "abc"`, `a ends g in "abc"`,
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c chorus
				o := newOrchestrator(t, orchestrator.Config{Observer: orchestrator.Observers(tt.make(&c)...)})
				g := newGuard(t, o, "g", tripping(9))
				if tt.panic {
					if value := leaves(t, g, answer); value != errOther { //nolint:errorlint // the same value
						t.Errorf("it panicked with %v", value)
					}
				} else if _, err := orchestrator.Do(t.Context(), g, answer); err != nil {
					t.Error(err)
				}
				if !slices.Equal(c.lines, tt.want) {
					t.Errorf("they were told\n%s\nwant\n%s", strings.Join(c.lines, "\n"), strings.Join(tt.want, "\n"))
				}
			})
		})
	}
}

// TestObserversCostWhatTheyAre: nothing is put around one, nobody pays for steps that
// nobody hears of, and none are none.
func TestObserversCostWhatTheyAre(t *testing.T) {
	var c chorus
	plain, parts := voice{name: "a", chorus: &c}, partVoice{voice{name: "b", chorus: &c}}
	if got := orchestrator.Observers(); got != nil {
		t.Errorf("of none it makes %v", got)
	}
	if got := orchestrator.Observers(nil, nil); got != nil {
		t.Errorf("of nil it makes %v", got)
	}
	if got := orchestrator.Observers(nil, parts); got != orchestrator.Observer(parts) {
		t.Errorf("of one it makes %v", got)
	}
	if _, ok := orchestrator.Observers(plain, plain).(orchestrator.PartObserver); ok {
		t.Error("of two that hear of no parts it makes one that does")
	}
	if _, ok := orchestrator.Observers(plain, parts).(orchestrator.PartObserver); !ok {
		t.Error("of one that hears of parts it makes one that does not")
	}
}
