package policy

import (
	"fmt"
	"strings"
)

// maxText and maxDepth bound what a text may cost to read.
const (
	maxText  = 64 << 10
	maxDepth = 4 // of calls within calls: no form needs more than two
)

// A call is a kind with its arguments, in the order in which they stand.
type call struct {
	kind token
	args []arg
	// object says that it stands in a file as an object with fields.
	object bool
}

// An arg is one of them. One without a name has a zero name.
type arg struct {
	name  token
	value token
	call  *call // when the value is a call
}

// A reader makes calls of tokens.
type reader struct {
	lexer lexer
	ahead token
}

func newReader(text string) (*reader, error) {
	if len(text) > maxText {
		return nil, &SyntaxError{Position: Position{Column: 1}, Problem: fmt.Sprintf("the text is longer than %d bytes", maxText)}
	}
	r := &reader{lexer: lexer{rest: text, column: 1}}
	r.advance()
	return r, nil
}

// read returns the layers of a text.
func read(text string) ([]*call, error) {
	r, err := newReader(text)
	if err != nil {
		return nil, err
	}
	var layers []*call
	for {
		layer, err := r.call(0)
		if err != nil {
			return nil, err
		}
		layers = append(layers, layer)
		switch r.ahead.text {
		case "":
			return layers, nil
		case ">":
			r.advance()
		default:
			return nil, r.unexpected(`">" before the next layer, or the end`)
		}
	}
}

// readValue returns what stands after "name=".
func readValue(name token, text string) (arg, error) {
	r, err := newReader(text)
	if err != nil {
		return arg{}, err
	}
	if !r.ahead.isWord() {
		return arg{}, r.unexpected("a value")
	}
	a := arg{name: name, value: r.take()}
	if r.ahead.text == "(" {
		a.call = &call{kind: a.value}
		err = r.arguments(a.call, 1)
	}
	if err == nil && r.ahead.text != "" {
		err = r.unexpected("one value")
	}
	return a, err
}

func (r *reader) advance() { r.ahead = r.lexer.next() }

// take returns the token ahead, and goes on to the one after it.
func (r *reader) take() token {
	t := r.ahead
	r.advance()
	return t
}

// unexpected is the error of what stands ahead, where something else should.
func (r *reader) unexpected(expected string) error {
	problem := "the text ends"
	if r.ahead.text != "" {
		problem = "there is " + quote(r.ahead.text)
	}
	return &SyntaxError{Position: r.ahead.at, Problem: problem, Expected: expected}
}

// call reads a kind and, in parentheses, its arguments.
func (r *reader) call(depth int) (*call, error) {
	if !r.ahead.isWord() {
		return nil, r.unexpected("a policy, such as retry(max_attempts=3)")
	}
	c := &call{kind: r.take()}
	if r.ahead.text != "(" {
		return c, nil
	}
	return c, r.arguments(c, depth)
}

// arguments reads what stands in parentheses.
func (r *reader) arguments(c *call, depth int) error {
	if depth >= maxDepth {
		return &SyntaxError{Position: r.ahead.at, Problem: "it is nested too deeply"}
	}
	r.advance()
	if r.ahead.text == ")" {
		r.advance()
		return nil
	}
	for {
		a, err := r.argument(depth)
		if err != nil {
			return err
		}
		c.args = append(c.args, a)
		switch r.ahead.text {
		case ")":
			r.advance()
			return nil
		case ",":
			r.advance()
		default:
			return r.unexpected(`"," or ")"`)
		}
	}
}

func (r *reader) argument(depth int) (arg, error) {
	if !r.ahead.isWord() {
		return arg{}, r.unexpected("a value, or name=value")
	}
	a := arg{value: r.take()}
	if r.ahead.text == "=" {
		r.advance()
		if !r.ahead.isWord() {
			return arg{}, r.unexpected("a value for " + a.value.text)
		}
		a.name, a.value = a.value, r.take()
	}
	if r.ahead.text != "(" {
		return a, nil
	}
	a.call = &call{kind: a.value}
	return a, r.arguments(a.call, depth+1)
}

// quote is a piece of somebody's text in a message: what is long is cut.
func quote(text string) string {
	const longest = 40
	if runes := []rune(text); len(runes) > longest {
		text = string(runes[:longest]) + "…"
	}
	return `"` + strings.ToValidUTF8(text, "�") + `"`
}
