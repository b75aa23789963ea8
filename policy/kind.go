package policy

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/holdfast-go/holdfast/domain"
)

// A kind is a kind of policy, and how its arguments are read.
type kind struct {
	name  string
	build func(c *call) (domain.Policy, []Deprecation, error)
	shape shape
}

// kindOf finds the kind of that name.
func kindOf(name string) (kind, bool) {
	all := kinds()
	i := slices.IndexFunc(all, func(k kind) bool { return k.name == name })
	if i < 0 {
		return kind{}, false
	}
	return all[i], true
}

// kindNames are the names of all of them.
func kindNames() (names []string) {
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return names
}

// kinds are all of them.
var kinds = sync.OnceValue(func() []kind { //nolint:gochecknoglobals // a constant list
	return []kind{
		layer("none", form[domain.None]{}),
		layer("retry", retryForm()),
		layer("circuit_breaker", breakerForm()),
		layer("rate_limit", limitForm()),
		layer("timeout", timeoutForm()),
		layer("bulkhead", bulkheadForm()),
		layer("hedge", hedgeForm()),
		layer("exclusive", exclusiveForm()),
	}
})

func layer[T domain.Policy](name string, f form[T]) kind {
	return kind{name: name, shape: f.shape(), build: func(c *call) (domain.Policy, []Deprecation, error) {
		var p T
		old, err := f.fill(&p, c)
		return p, old, err
	}}
}

// A form says how the arguments of a call fill a T.
type form[T any] struct {
	// bare is what the first value without a name is, such as "a duration"; "" when there
	// is none. It is required where there is one.
	bare string
	// bareName is its name where fields have names, as in files: that of the domain.
	bareName string
	setBare  func(*T, arg) error
	fields   []field[T]
}

// A field is one argument with a name.
type field[T any] struct {
	name string
	set  func(*T, arg) error
	// old says that the name is deprecated, and gives what to write in place of a value.
	old func(value string) string
	// many says that it may stand several times.
	many bool
	// object is the kind of the call that an object in its place means, in a file; "" when
	// it takes none. Where kinds is set, its field "kind" names another.
	object string
	kinds  bool
	// word says that it takes a string, and no number in its place.
	word bool
}

// fill reads the arguments of a call into p.
func (f form[T]) fill(p *T, c *call) (old []Deprecation, err error) {
	if f.bare != "" && (len(c.args) == 0 || c.args[0].name.text != "") {
		if len(c.args) > 0 {
			if _, err := f.find(c, c.args[0]); err != nil {
				return nil, err // which says more
			}
		}
		expected := fmt.Sprintf("%s first, as in %s(…)", f.bare, c.kind.text)
		if c.object {
			expected = "the field " + f.bareName
		}
		return nil, &SyntaxError{Position: c.kind.at, Problem: c.kind.text + " has no value", Expected: expected}
	}
	seen := make(map[string]bool)
	for i, a := range c.args {
		switch {
		case a.name.text != "":
			deprecated, err := f.put(p, c, a, seen)
			if err != nil {
				return nil, err
			}
			old = append(old, deprecated...)
		case i > 0 || f.bare == "":
			return nil, f.stray(c, a)
		default:
			if err := f.setBare(p, a); err != nil {
				return nil, err
			}
		}
	}
	return old, nil
}

// put reads an argument with a name into p, and notes that it was seen.
func (f form[T]) put(p *T, c *call, a arg, seen map[string]bool) (old []Deprecation, err error) {
	found, err := f.find(c, a)
	if err != nil {
		return nil, err
	}
	if seen[a.name.text] && !found.many {
		return nil, &SyntaxError{Position: a.name.at, Problem: quote(a.name.text) + " stands twice"}
	}
	seen[a.name.text] = true
	if err := found.set(p, a); err != nil {
		return nil, err
	}
	if found.old != nil {
		old = []Deprecation{{a.name.at, a.name.text + "=" + a.value.text, found.old(a.value.text)}}
	}
	return old, nil
}

// find finds the field of an argument.
func (f form[T]) find(c *call, a arg) (field[T], error) {
	i := slices.IndexFunc(f.fields, func(known field[T]) bool { return known.name == a.name.text })
	if i >= 0 {
		return f.fields[i], nil
	}
	names := f.names()
	if c.object && f.bareName != "" {
		names = slices.Insert(names, 0, f.bareName)
	}
	return field[T]{}, &SyntaxError{
		Position: a.name.at, Problem: c.kind.text + " has no field " + quote(a.name.text),
		Expected: oneOf(names), Nearest: nearest(a.name.text, names),
	}
}

// stray is the error of a value without a name, where none is meant.
func (f form[T]) stray(c *call, a arg) error {
	names := f.names()
	return &SyntaxError{
		Position: a.value.at, Problem: quote(a.value.text) + " has no name in " + c.kind.text,
		Expected: "name=value", Nearest: nearest(a.value.text, names),
	}
}

// names are those of the fields that are not deprecated.
func (f form[T]) names() (names []string) {
	for _, known := range f.fields {
		if known.old == nil {
			names = append(names, known.name)
		}
	}
	return names
}

// oneOf lists what may stand somewhere.
func oneOf(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "one of " + strings.Join(names, ", ")
}
