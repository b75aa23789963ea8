package policyfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/holdfast-go/holdfast/policy"
)

// maxNodes and maxDepth bound what a file is after its aliases were followed.
const (
	maxNodes = 100_000
	maxDepth = 32
)

// ReadYAML reads a file of policies in YAML, as [policy.Read] reads a document.
func ReadYAML(data []byte, lookup policy.Lookup) (*policy.Set, error) {
	root, err := parse(data)
	if err != nil {
		return nil, err
	}
	return policy.Read(root, lookup)
}

// parse makes the nodes of the one document that a file holds.
func parse(data []byte) (*policy.Node, error) {
	if err := policy.CheckFile(data); err != nil {
		return nil, err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, more yaml.Node
	if err := decoder.Decode(&document); err != nil {
		return nil, syntax(err)
	}
	switch err := decoder.Decode(&more); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return nil, syntax(err)
	default:
		return nil, problem(&more, "a second document begins: a file has one")
	}
	if document.Kind != yaml.DocumentNode || len(document.Content) != 1 {
		return nil, problem(&document, "the file is empty")
	}
	r := &reader{}
	for line := range strings.SplitSeq(string(data), "\n") {
		r.lines = append(r.lines, []rune(line))
	}
	return r.node(document.Content[0], 0)
}

// syntax is the error of what is no YAML. The parser has the line in its text only.
func syntax(err error) error {
	if errors.Is(err, io.EOF) {
		return &policy.SyntaxError{Position: policy.Position{Line: 1, Column: 1}, Problem: "the file is empty"}
	}
	at, text := policy.Position{Line: 1, Column: 1}, strings.TrimPrefix(err.Error(), "yaml: ")
	if m := regexp.MustCompile(`^line (\d+): `).FindStringSubmatch(text); m != nil {
		at.Line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	return &policy.SyntaxError{Position: at, Problem: "it is no YAML: " + text}
}

func problem(n *yaml.Node, text string) error {
	at := policy.Position{Line: max(n.Line, 1), Column: max(n.Column, 1)}
	return &policy.SyntaxError{Position: at, Problem: text}
}

// A reader makes nodes of those of the parser.
type reader struct {
	lines [][]rune
	nodes int // so far, with those behind aliases as often as they are named
}

func (r *reader) node(n *yaml.Node, depth int) (*policy.Node, error) {
	r.nodes++
	switch {
	case depth > maxDepth:
		return nil, problem(n, "it is nested too deeply")
	case r.nodes > maxNodes:
		return nil, problem(n, fmt.Sprintf("the file has more than %d values, with its aliases", maxNodes))
	case n.Style&yaml.TaggedStyle != 0:
		return nil, problem(n, "there is the tag "+strconv.Quote(n.Tag)+"; values have none here")
	}
	made := &policy.Node{Position: policy.Position{Line: n.Line, Column: n.Column}}
	var err error
	switch n.Kind {
	case yaml.AliasNode:
		return r.node(n.Alias, depth+1)
	case yaml.ScalarNode:
		r.scalar(made, n)
	case yaml.SequenceNode:
		made.Kind = policy.NodeList
		made.Items, err = r.all(n.Content, depth)
	case yaml.MappingNode:
		made.Kind = policy.NodeObject
		made.Members, err = r.members(n, depth)
	case yaml.DocumentNode, yaml.StreamNode:
		err = problem(n, "there is a document inside another one")
	}
	return made, err
}

func (r *reader) all(content []*yaml.Node, depth int) (nodes []*policy.Node, err error) {
	for _, n := range content {
		made, err := r.node(n, depth+1)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, made)
	}
	return nodes, nil
}

func (r *reader) members(n *yaml.Node, depth int) (members []policy.Member, err error) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].ShortTag() == "!!merge" {
			return nil, problem(n.Content[i], `"<<" is not read here; say extends`)
		}
		pair, err := r.all(n.Content[i:i+2], depth)
		if err != nil {
			return nil, err
		}
		members = append(members, policy.Member{Key: pair[0], Value: pair[1]})
	}
	return members, nil
}

// scalar fills in a value with a text. What only YAML has, such as dates, is a string.
func (r *reader) scalar(made *policy.Node, n *yaml.Node) {
	made.Text = n.Value
	switch n.ShortTag() {
	case "!!null":
		made.Kind = policy.NodeNull
	case "!!bool":
		made.Kind = policy.NodeBool
	case "!!int", "!!float":
		made.Kind = policy.NodeNumber
	default:
		made.Kind = policy.NodeString
	}
	start := n.Column
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		start++
	}
	if r.stands(n.Value, n.Line, start) {
		made.Start = start
	}
}

// stands reports whether a text stands in the file from there on, letter by letter.
func (r *reader) stands(text string, line, column int) bool {
	if line < 1 || line > len(r.lines) {
		return false
	}
	rest, want := r.lines[line-1], []rune(text)
	return len(rest)-column+1 >= len(want) && slices.Equal(rest[column-1:column-1+len(want)], want)
}
