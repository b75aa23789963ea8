package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxFile is how long a file of policies may be, in bytes.
const MaxFile = 1 << 20

// maxNesting bounds how deep a document goes: policies need six.
const maxNesting = 32

// ReadJSON reads a file of policies in JSON, as [Read] reads a document.
func ReadJSON(data []byte, lookup Lookup) (*Set, error) {
	root, err := parseJSON(data)
	if err != nil {
		return nil, err
	}
	return Read(root, lookup)
}

// A jsonReader makes nodes of JSON, with the place of each.
type jsonReader struct {
	places  *places
	decoder *json.Decoder
	from    int // where the next token begins
}

func parseJSON(data []byte) (*Node, error) {
	if err := CheckFile(data); err != nil {
		return nil, err
	}
	r := &jsonReader{places: newPlaces(data), decoder: json.NewDecoder(bytes.NewReader(data))}
	r.decoder.UseNumber()
	root, err := r.value(0)
	if err != nil {
		return nil, err
	}
	r.skip(" \t\r\n")
	if r.from < len(data) {
		return nil, &SyntaxError{Position: r.places.at(r.from), Problem: "there is more after the end of the document"}
	}
	return root, nil
}

// skip goes on to what is not among some characters.
func (r *jsonReader) skip(some string) {
	for r.from < len(r.places.data) && strings.IndexByte(some, r.places.data[r.from]) >= 0 {
		r.from++
	}
}

// CheckFile reports what cannot be a file of policies, in whatever format: one that is longer
// than [MaxFile], empty, or not UTF-8.
func CheckFile(data []byte) error {
	start := Position{Line: 1, Column: 1}
	switch {
	case len(data) > MaxFile:
		return &SyntaxError{Position: start, Problem: fmt.Sprintf("the file is longer than %d bytes", MaxFile)}
	case len(bytes.TrimSpace(data)) == 0:
		return &SyntaxError{Position: start, Problem: "the file is empty"}
	case !utf8.Valid(data):
		valid := 0
		for {
			r, size := utf8.DecodeRune(data[valid:])
			if r == utf8.RuneError && size == 1 {
				return &SyntaxError{Position: newPlaces(data).at(valid), Problem: "the file is not UTF-8"}
			}
			valid += size
		}
	default:
		return nil
	}
}

// A jsonToken is one, as it stands there.
type jsonToken struct {
	means json.Token
	raw   []byte
	at    Position
}

// token reads the next one.
func (r *jsonReader) token() (t jsonToken, err error) {
	r.skip(" \t\r\n,:")
	if t.means, err = r.decoder.Token(); err != nil {
		return t, r.syntax(err)
	}
	end := int(r.decoder.InputOffset())
	t.at, t.raw = r.places.at(r.from), r.places.data[r.from:end]
	r.from = end
	return t, nil
}

// syntax is the error of what is no JSON.
func (r *jsonReader) syntax(err error) error {
	if wrong, ok := errors.AsType[*json.SyntaxError](err); ok {
		return &SyntaxError{Position: r.places.at(r.from), Problem: "it is no JSON: " + wrong.Error()}
	}
	return &SyntaxError{Position: r.places.at(len(r.places.data)), Problem: "the file ends too early"}
}

// value reads the next value and all that is in it.
func (r *jsonReader) value(depth int) (*Node, error) {
	t, err := r.token()
	if err != nil {
		return nil, err
	}
	if depth > maxNesting {
		return nil, &SyntaxError{Position: t.at, Problem: "it is nested too deeply"}
	}
	n := &Node{Position: t.at}
	switch means := t.means.(type) {
	case string:
		n.Kind, n.Text = NodeString, means
		if len(t.raw) == len(means)+2 { // an escape is longer than what it means
			n.Start = n.Column + 1
		}
	case json.Number:
		n.Kind, n.Text, n.Start = NodeNumber, means.String(), n.Column
	case bool:
		n.Kind, n.Text, n.Start = NodeBool, string(t.raw), n.Column
	case json.Delim:
		if means == '[' {
			n.Kind = NodeList
			err = r.items(n, depth)
		} else {
			n.Kind = NodeObject
			err = r.members(n, depth)
		}
	}
	return n, err
}

func (r *jsonReader) items(n *Node, depth int) error {
	for r.decoder.More() {
		item, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		n.Items = append(n.Items, item)
	}
	_, err := r.token() // the bracket
	return err
}

func (r *jsonReader) members(n *Node, depth int) error {
	for r.decoder.More() {
		key, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		value, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		n.Members = append(n.Members, Member{key, value})
	}
	_, err := r.token() // the brace
	return err
}
