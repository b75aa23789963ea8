package declare

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// mark begins each directive.
const mark = "//holdfast:"

// The directives. Those from retry on are older.
const (
	resilient      = "resilient"
	key            = "key"
	policies       = "policies"
	retry          = "retry"
	circuitBreaker = "circuit_breaker"
	rateLimited    = "rate_limited"
)

// onMethods are the directives that stand above methods.
func onMethods() []string { return []string{resilient, key, retry, circuitBreaker, rateLimited} }

// A directive is one line of a comment.
type directive struct {
	name string
	pos  token.Pos // of the comment
	text           // what follows the name
}

// A text stands in a source file, so that what is wrong in it has a position.
type text struct {
	said  string
	where token.Pos // of its first byte; NoPos where it is not written as it is read
	near  token.Pos // the place to name then
}

// column is where the n-th character of the text stands; 1 is the first.
func (t text) column(n int) token.Pos {
	if !t.where.IsValid() {
		return t.near
	}
	offset := len(t.said)
	for i := range t.said {
		if n--; n == 0 {
			offset = i
			break
		}
	}
	return t.where + token.Pos(offset)
}

// read reads a comment as a directive.
func read(c *ast.Comment) (d directive, ok bool) {
	said, ok := strings.CutPrefix(c.Text, mark)
	if !ok {
		return directive{}, false
	}
	end := strings.IndexFunc(said, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') })
	if end < 0 {
		end = len(said)
	}
	where := c.Pos() + token.Pos(len(mark)+end)
	return directive{said[:end], c.Pos(), text{said[end:], where, c.Pos()}}, true
}

// of are the directives of a comment.
func of(group *ast.CommentGroup) (found []directive) {
	if group == nil {
		return nil
	}
	for _, c := range group.List {
		if d, ok := read(c); ok {
			found = append(found, d)
		}
	}
	return found
}

// almost is the name of the directive that a comment would be without the space after //.
func almost(c *ast.Comment) (name string, ok bool) {
	said, ok := strings.CutPrefix(c.Text, "//")
	trimmed := strings.TrimLeft(said, " \t")
	if !ok || trimmed == said {
		return "", false
	}
	d, ok := read(&ast.Comment{Text: "//" + trimmed})
	return d.name, ok && slices.Contains(append(onMethods(), policies), d.name)
}
