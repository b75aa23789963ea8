package policy

import (
	"slices"
	"strings"
)

// A Node is a value in a file, with its place. It is for who reads a format that this
// package does not, makes nodes of it, and gives the outermost one to [Read].
type Node struct {
	Position

	Kind NodeKind
	// Text is that of a string, a number or a bool, as it means: without quotes and escapes.
	Text string
	// Start is the column in which Text begins, where it stands there letter by letter and on
	// the line of Position. It lets errors in Text say their own column. Zero where it does not.
	Start   int
	Items   []*Node  // of a list
	Members []Member // of an object, in the order in which they stand
}

// A Member is a field of an object.
type Member struct{ Key, Value *Node }

// A NodeKind is what a [Node] is.
type NodeKind int

// The kinds of nodes.
const (
	NodeNull NodeKind = iota
	NodeString
	NodeNumber
	NodeBool
	NodeList
	NodeObject
)

// String is the kind as messages have it.
func (k NodeKind) String() string {
	switch k {
	case NodeNull:
		return "null"
	case NodeString:
		return "a string"
	case NodeNumber:
		return "a number"
	case NodeBool:
		return "true or false"
	case NodeList:
		return "a list"
	case NodeObject:
		return "an object"
	default:
		return "something else"
	}
}

// scalar reports whether n is one value with a text.
func (n *Node) scalar() bool {
	return n.Kind == NodeString || n.Kind == NodeNumber || n.Kind == NodeBool
}

// token is a scalar as a word.
func (n *Node) token() token { return token{n.Text, n.Position} }

// insteadOf is the error of a node where something else should stand.
func (n *Node) insteadOf(expected string) error {
	return &SyntaxError{Position: n.Position, Problem: "there is " + n.Kind.String(), Expected: expected}
}

// eachOnce reports the first member that cannot have its name: one that stands twice, or
// that is no name.
func (n *Node) eachOnce() error {
	first := make(map[string]Position, len(n.Members))
	for _, m := range n.Members {
		if !m.Key.scalar() {
			return m.Key.insteadOf("a name")
		}
		if before, again := first[m.Key.Text]; again {
			return &SyntaxError{
				Position: m.Key.Position, Problem: quote(m.Key.Text) + " stands twice; it is at " + before.String() + " already",
			}
		}
		first[m.Key.Text] = m.Key.Position
	}
	return nil
}

// fields returns the members of an object by name. Each is one of known.
func (n *Node) fields(what string, known ...string) (map[string]*Node, error) {
	if n.Kind != NodeObject {
		return nil, n.insteadOf("an object with the fields " + strings.Join(known, ", "))
	}
	if err := n.eachOnce(); err != nil {
		return nil, err
	}
	found := make(map[string]*Node, len(n.Members))
	for _, m := range n.Members {
		if !slices.Contains(known, m.Key.Text) {
			return nil, &SyntaxError{
				Position: m.Key.Position, Problem: what + " has no field " + quote(m.Key.Text),
				Expected: oneOf(known), Nearest: nearest(m.Key.Text, known),
			}
		}
		found[m.Key.Text] = m.Value
	}
	return found, nil
}
