package policy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/holdfast-go/holdfast/domain"
)

// Read reads a document of policies, of whatever format:
//
//	{
//	  "policies": {
//	    "base":     "timeout(5s) > retry(max_attempts=3)",
//	    "payments": {"extends": "base", "layers": [{"retry": {"max_attempts": 5}}]}
//	  },
//	  "operations": {"charge": "payments"},
//	  "default": "base"
//	}
//
// A policy is its text; or one layer as an object, {"timeout": "5s"}; or a list of both,
// outermost first; or an object with layers and, in extends, the policy that they change.
// A layer takes the place of the fields that it gives in the layer of its kind, or comes
// innermost where there is none. docs/policies.md has the whole form.
//
// In strings, ${env:NAME} and ${env:NAME:-default} are replaced by what lookup finds.
//
// The error is a [*SyntaxError] with line and column: for what is not known, stands twice,
// cannot be meant or is missing. Nothing is ignored but the member $schema, for editors.
func Read(root *Node, lookup Lookup) (*Set, error) {
	fields, err := root.fields("the file", "policies", "operations", "default", "$schema")
	if err != nil {
		return nil, err
	}
	if schema, given := fields["$schema"]; given && schema.Kind != NodeString {
		return nil, schema.insteadOf("the address of a schema")
	}
	d := &document{lookup: lookup, declared: make(map[string]*declaration), built: make(map[*call]builtLayer)}
	policies, given := fields["policies"]
	if !given {
		return nil, &SyntaxError{Position: root.Position, Problem: "the file has no policies", Expected: "the field policies"}
	}
	if err := d.declare(policies); err != nil {
		return nil, err
	}
	set := &Set{Policies: make(map[string]domain.Policy), Operations: make(map[string]string)}
	if err := d.build(set); err != nil {
		return nil, err
	}
	if err := d.operations(fields["operations"], set); err != nil {
		return nil, err
	}
	if n, given := fields["default"]; given {
		if set.Default, err = d.reference(n); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// A document is what is being read.
type document struct {
	lookup   Lookup
	declared map[string]*declaration
	inOrder  []*declaration
	built    map[*call]builtLayer
}

// A builtLayer is what was made of a call. Those that are inherited as they are share it.
type builtLayer struct {
	policy domain.Policy
	old    []Deprecation
}

// A declaration is a named policy.
type declaration struct {
	name    token
	node    *Node
	extends token // the policy that it extends, where it says so; zero when it extends none

	begun  bool    // somebody reads it
	layers []*call // these three once it is read
	policy domain.Policy
	old    []Deprecation
}

// declare notes the policies by name.
func (d *document) declare(n *Node) error {
	if n.Kind != NodeObject {
		return n.insteadOf("the policies by name, an object")
	}
	if err := n.eachOnce(); err != nil {
		return err
	}
	for _, m := range n.Members {
		if err := domain.ValidateName("policy", m.Key.Text); err != nil {
			return &SyntaxError{
				Position: m.Key.Position, Problem: quote(m.Key.Text) + " cannot be the name of a policy",
				Expected: "1 to 64 of A-Z a-z 0-9 . _ -", Err: err,
			}
		}
		p := &declaration{name: m.Key.token(), node: m.Value}
		d.declared[p.name.text], d.inOrder = p, append(d.inOrder, p)
	}
	return nil
}

// build makes all policies. A spelling that several inherit is told once.
func (d *document) build(set *Set) error {
	told := make(map[Deprecation]bool)
	for _, p := range d.inOrder {
		if err := d.read(p, 0); err != nil {
			return err
		}
		set.Policies[p.name.text] = p.policy
		for _, deprecated := range p.old {
			if !told[deprecated] {
				told[deprecated] = true
				set.Deprecated = append(set.Deprecated, deprecated)
			}
		}
	}
	slices.SortStableFunc(set.Deprecated, func(a, b Deprecation) int {
		return cmp.Or(a.Line-b.Line, a.Column-b.Column)
	})
	return nil
}

// read reads a declared policy, after the one that it extends.
func (d *document) read(p *declaration, depth int) error {
	if p.layers != nil {
		return nil
	}
	p.begun = true
	calls, err := d.layers(p, depth)
	if err != nil {
		return err
	}
	if len(calls) > maxLayers {
		return &SyntaxError{Position: p.name.at, Problem: fmt.Sprintf("%s has more than %d layers", quote(p.name.text), maxLayers)}
	}
	if err := d.compose(p, calls); err != nil {
		return p.explain(err)
	}
	p.layers = calls
	return nil
}

// compose makes the policy of layers.
func (d *document) compose(p *declaration, calls []*call) error {
	layers := make([]domain.Policy, len(calls))
	for i, c := range calls {
		made, exists := d.built[c]
		if !exists {
			var err error
			if made.policy, made.old, err = build(c); err != nil {
				return err
			}
			d.built[c] = made
		}
		layers[i], p.old = made.policy, append(p.old, made.old...)
	}
	p.policy = domain.Combine(layers[0], layers[1:]...)
	return nil
}

// explain adds to an error of a policy that extends another one that it does: what is wrong
// may stand in either.
func (p *declaration) explain(err error) error {
	if wrong, ok := errors.AsType[*SyntaxError](err); ok && p.extends.text != "" {
		wrong.Problem += fmt.Sprintf(" (policy %s extends %s)", quote(p.name.text), quote(p.extends.text))
	}
	return err
}

// operations reads which operation has which policy.
func (d *document) operations(n *Node, set *Set) error {
	if n == nil {
		return nil
	}
	if n.Kind != NodeObject {
		return n.insteadOf("the names of policies by operation, an object")
	}
	if err := n.eachOnce(); err != nil {
		return err
	}
	const longest = 256
	for _, m := range n.Members {
		operation := m.Key.Text
		if operation == "" || len(operation) > longest {
			return &SyntaxError{Position: m.Key.Position, Problem: "the name of an operation has 1 to 256 bytes"}
		}
		name, err := d.reference(m.Value)
		if err != nil {
			return err
		}
		set.Operations[operation] = name
	}
	return nil
}

// reference reads the name of a policy that is declared.
func (d *document) reference(n *Node) (string, error) {
	if n.Kind != NodeString {
		return "", n.insteadOf("the name of a policy")
	}
	s, err := d.lookup.expand(n)
	if err != nil {
		return "", err
	}
	if _, exists := d.declared[s.text]; exists {
		return s.text, nil
	}
	names := make([]string, len(d.inOrder))
	for i, p := range d.inOrder {
		names[i] = p.name.text
	}
	return "", &SyntaxError{
		Position: n.Position, Problem: "there is no policy " + quote(s.text), Nearest: nearest(s.text, names),
	}
}
