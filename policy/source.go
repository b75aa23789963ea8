package policy

import "errors"

// A source is a string in a file, after its references to the environment were replaced.
type source struct {
	node    *Node
	text    string
	columns []int // of each of its characters in node.Text, from 0; nil where they are the same
}

// place is where in the file the character at a column of the text stands.
func (s source) place(column int) Position {
	if s.node.Start == 0 {
		return s.node.Position
	}
	offset := column - 1
	if s.columns != nil {
		offset = s.columns[min(max(offset, 0), len(s.columns)-1)]
	}
	return Position{Line: s.node.Line, Column: s.node.Start + offset}
}

// error is an error in the text, with its place in the file.
func (s source) error(err error) error {
	if wrong, ok := errors.AsType[*SyntaxError](err); ok {
		wrong.Position = s.place(wrong.Column)
	}
	return err
}

// layers reads the text as a policy.
func (s source) layers() ([]*call, error) {
	calls, err := read(s.text)
	if err != nil {
		return nil, s.error(err)
	}
	for _, c := range calls {
		c.move(s.place)
	}
	return calls, nil
}

// value reads the text as the value of a field.
func (s source) value(name token) (arg, error) {
	a, err := readValue(name, s.text)
	if err != nil {
		return arg{}, s.error(err)
	}
	a.value.at = s.place(a.value.at.Column)
	if a.call != nil {
		a.call.move(s.place)
	}
	return a, nil
}

// move gives all that is in a call its place in a file.
func (c *call) move(place func(column int) Position) {
	c.kind.at = place(c.kind.at.Column)
	for i := range c.args {
		a := &c.args[i]
		if a.name.text != "" {
			a.name.at = place(a.name.at.Column)
		}
		a.value.at = place(a.value.at.Column)
		if a.call != nil {
			a.call.move(place)
		}
	}
}
