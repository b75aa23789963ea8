package policy

import (
	"fmt"
	"slices"
)

// changed reads the layers of a policy that may extend another one.
func (d *document) changed(p *declaration, depth int) ([]*call, error) {
	fields, err := p.node.fields("a policy with "+extends+" or "+allLayers, extends, allLayers)
	if err != nil {
		return nil, err
	}
	var inherited, own []*call
	if n := fields[extends]; n != nil {
		if inherited, err = d.parent(p, n, depth); err != nil {
			return nil, err
		}
	}
	if n := fields[allLayers]; n != nil {
		if own, err = d.list(n); err != nil {
			return nil, err
		}
	}
	if inherited == nil {
		return own, nil
	}
	return merged(inherited, own)
}

// parent returns the layers of the policy that p extends.
func (d *document) parent(p *declaration, n *Node, depth int) ([]*call, error) {
	name, err := d.reference(n)
	if err != nil {
		return nil, err
	}
	p.extends = token{name, n.Position}
	of := d.declared[name]
	switch {
	case of == p:
		return nil, &SyntaxError{Position: n.Position, Problem: quote(name) + " extends itself"}
	case of.begun && of.layers == nil:
		return nil, &SyntaxError{Position: n.Position, Problem: fmt.Sprintf(
			"%s extends %s, which comes back to it: see %s", quote(p.name.text), quote(name), of.extends.at)}
	case depth >= maxExtends:
		return nil, &SyntaxError{Position: n.Position, Problem: fmt.Sprintf("it extends through more than %d policies", maxExtends)}
	default:
		err := d.read(of, depth+1)
		return of.layers, err
	}
}

// merged puts layers into those that are inherited: each into the one of its kind, or
// innermost when there is none.
func merged(inherited, own []*call) ([]*call, error) {
	if len(own) > maxLayers {
		return nil, &SyntaxError{Position: own[0].kind.at, Problem: fmt.Sprintf("there are more than %d layers", maxLayers)}
	}
	result := slices.Clone(inherited)
	for i, c := range own {
		if len(c.args) > maxFields {
			return nil, &SyntaxError{Position: c.kind.at, Problem: fmt.Sprintf("there are more than %d fields", maxFields)}
		}
		same := func(other *call) bool { return other.kind.text == c.kind.text }
		at := slices.IndexFunc(inherited, same)
		switch {
		case slices.ContainsFunc(own[:i], same):
			return nil, &SyntaxError{
				Position: c.kind.at, Problem: quote(c.kind.text) + " stands twice among what changes a policy",
			}
		case at < 0:
			result = append(result, c)
		case slices.ContainsFunc(inherited[at+1:], same):
			return nil, &SyntaxError{
				Position: c.kind.at, Problem: "what is extended has several layers of " + quote(c.kind.text),
				Expected: "the whole policy, which says which one is meant",
			}
		default:
			result[at] = inherited[at].with(c)
		}
	}
	return result, nil
}

// with returns c with the fields that other gives in place of its own. Further bands are
// one field.
func (c *call) with(other *call) *call {
	single, bands := c.split()
	newSingle, newBands := other.split()
	for _, a := range newSingle {
		i := slices.IndexFunc(single, func(old arg) bool { return old.name.text == a.name.text })
		switch {
		case i >= 0:
			single[i] = a
		case a.name.text == "":
			single = slices.Insert(single, 0, a)
		default:
			single = append(single, a)
		}
	}
	if len(newBands) > 0 {
		bands = newBands
	}
	return &call{kind: other.kind, args: slices.Concat(single, bands), object: other.object}
}

// split takes apart the further bands of a limit, with their bursts, and all else.
func (c *call) split() (single, bands []arg) {
	for _, a := range c.args {
		if a.name.text == "also" || (a.name.text == "burst" && len(bands) > 0) {
			bands = append(bands, a)
		} else {
			single = append(single, a)
		}
	}
	return single, bands
}
