package policy

import "slices"

const (
	extends   = "extends"
	allLayers = "layers"
)

// These bound what a policy in a file may be made of.
const (
	maxLayers  = 64
	maxFields  = 64 // of one layer; no kind has as many
	maxExtends = 16
)

// layers returns those of a declared policy: a text, a list of layers, a layer, or what
// extends another.
func (d *document) layers(p *declaration, depth int) ([]*call, error) {
	n := p.node
	switch n.Kind {
	case NodeString:
		return d.text(n)
	case NodeList:
		return d.list(n)
	case NodeObject:
		if err := n.eachOnce(); err != nil {
			return nil, err
		}
		for _, m := range n.Members {
			if m.Key.Text == extends || m.Key.Text == allLayers {
				return d.changed(p, depth)
			}
		}
		c, err := d.layer(n, extends, allLayers)
		return []*call{c}, err
	case NodeNull, NodeNumber, NodeBool:
	}
	return nil, n.insteadOf("a policy: its text, an object, or a list of layers")
}

// text reads a policy, or some of its layers, from a string.
func (d *document) text(n *Node) ([]*call, error) {
	s, err := d.lookup.expand(n)
	if err != nil {
		return nil, err
	}
	return s.layers()
}

// list reads layers, outermost first.
func (d *document) list(n *Node) (calls []*call, err error) {
	if n.Kind != NodeList {
		return nil, n.insteadOf("a list of layers")
	}
	if len(n.Items) == 0 {
		return nil, &SyntaxError{Position: n.Position, Problem: "the list has no layers", Expected: "none for no protection"}
	}
	for _, item := range n.Items {
		var some []*call
		switch item.Kind {
		case NodeString:
			some, err = d.text(item)
		case NodeObject:
			some = make([]*call, 1)
			some[0], err = d.layer(item)
		case NodeNull, NodeNumber, NodeBool, NodeList:
			err = item.insteadOf("a layer: its text, or an object")
		}
		if err != nil {
			return nil, err
		}
		calls = append(calls, some...)
	}
	return calls, nil
}

// layer reads an object of one kind. The names that might have stood there too are for
// those who misspelt one.
func (d *document) layer(n *Node, others ...string) (*call, error) {
	if err := n.eachOnce(); err != nil {
		return nil, err
	}
	names := slices.Concat(kindNames(), others)
	if len(n.Members) == 0 {
		return nil, &SyntaxError{Position: n.Position, Problem: "the object has no kind of policy", Expected: oneOf(names)}
	}
	if len(n.Members) > 1 {
		for _, m := range n.Members { // a misspelt one first, which says more
			if _, known := kindOf(m.Key.Text); !known {
				return nil, noKind(m.Key.token(), names)
			}
		}
		return nil, &SyntaxError{
			Position: n.Members[1].Key.Position, Problem: "the object has more than one kind of policy",
			Expected: "a list of layers, which has an order",
		}
	}
	key, value := n.Members[0].Key, n.Members[0].Value
	k, known := kindOf(key.Text)
	if !known {
		return nil, noKind(key.token(), names)
	}
	c := &call{kind: key.token(), object: true}
	if value.Kind == NodeObject {
		return c, d.arguments(c, value, k.shape)
	}
	if !value.scalar() || k.shape.bare == "" {
		return nil, value.insteadOf("the fields of " + k.name + ", an object")
	}
	a, err := d.value(token{}, value, slot{})
	c.args = []arg{a}
	return c, err
}

// arguments reads the fields of an object, and puts them in the order that a text needs:
// first what has no name there and its burst, last the further bands.
func (d *document) arguments(c *call, n *Node, s shape) error {
	if err := n.eachOnce(); err != nil {
		return err
	}
	var first, burst, rest, bands []arg
	for _, m := range n.Members {
		name := m.Key.token()
		if name.text == "also" {
			more, err := d.bands(name, m.Value)
			if err != nil {
				return err
			}
			bands = append(bands, more...)
			continue
		}
		into := &rest
		switch {
		case s.bare != "" && name.text == s.bare:
			into, name.text = &first, ""
		case name.text == "burst":
			into = &burst
		}
		field, known := s.fields[name.text]
		if !known && name.text != "" {
			rest = append(rest, arg{name: name, value: m.Value.token()}) // which says that there is no such field
			continue
		}
		a, err := d.value(name, m.Value, field)
		if err != nil {
			return err
		}
		*into = append(*into, a)
	}
	c.args = slices.Concat(first, burst, rest, bands)
	return nil
}

// bands reads the further bands of a limit: rates, or objects of a rate and a burst.
func (d *document) bands(name token, n *Node) (args []arg, err error) {
	items := n.Items
	if n.Kind != NodeList {
		items = []*Node{n}
	}
	for _, item := range items {
		if item.Kind != NodeObject {
			a, err := d.value(name, item, slot{})
			if err != nil {
				return nil, err
			}
			args = append(args, a)
			continue
		}
		fields, err := item.fields("a band", "limit", "burst")
		if err != nil {
			return nil, err
		}
		if fields["limit"] == nil {
			return nil, &SyntaxError{Position: item.Position, Problem: "the band has no limit", Expected: "a rate, such as 100/s"}
		}
		for _, of := range []struct{ field, name string }{{"limit", name.text}, {"burst", "burst"}} {
			if fields[of.field] == nil {
				continue
			}
			a, err := d.value(token{of.name, item.Position}, fields[of.field], slot{})
			if err != nil {
				return nil, err
			}
			args = append(args, a)
		}
	}
	return args, nil
}

// value reads what a field is set to.
func (d *document) value(name token, n *Node, s slot) (arg, error) {
	switch n.Kind {
	case NodeString:
		text, err := d.lookup.expand(n)
		if err != nil {
			return arg{}, err
		}
		return text.value(name)
	case NodeNumber, NodeBool:
		if !s.word {
			return arg{name: name, value: n.token()}, nil
		}
	case NodeObject:
		if s.object != "" {
			return d.object(name, n, s)
		}
	case NodeNull, NodeList:
	}
	expected := "a value"
	if s.word {
		expected = "a string"
	}
	if name.text != "" {
		expected += " for " + name.text
	}
	return arg{}, n.insteadOf(expected)
}

// object reads a value that has fields of its own.
func (d *document) object(name token, n *Node, s slot) (arg, error) {
	if err := n.eachOnce(); err != nil {
		return arg{}, err
	}
	c := &call{kind: token{s.object, n.Position}}
	for _, m := range n.Members {
		inner, err := d.value(m.Key.token(), m.Value, slot{word: m.Key.Text == "name" || m.Key.Text == "kind"})
		if err != nil {
			return arg{}, err
		}
		if s.kinds && inner.name.text == "kind" {
			if inner.call != nil {
				return arg{}, m.Value.insteadOf("a word for kind")
			}
			c.kind = inner.value
			continue
		}
		c.args = append(c.args, inner)
	}
	return arg{name: name, value: c.kind, call: c}, nil
}
