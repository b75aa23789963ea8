package policy

import (
	"slices"
	"strings"
)

// A Lookup finds a variable of the environment, as [os.LookupEnv] does. The nil one finds
// none.
type Lookup func(name string) (value string, ok bool)

// The marks of a reference, such as ${env:NAME} or ${env:NAME:-default}. A "$${" is "${".
const (
	reference   = "${"
	environment = "${env:"
	escaped     = "$${"
	otherwise   = ":-"
)

// expand replaces the references in a string.
func (l Lookup) expand(n *Node) (source, error) {
	if !strings.Contains(n.Text, reference) {
		return source{node: n, text: n.Text}, nil
	}
	var out strings.Builder
	s := source{node: n, columns: []int{}}
	put := func(text string, from, step int) {
		for i, r := range []rune(text) {
			out.WriteRune(r)
			s.columns = append(s.columns, from+i*step)
		}
	}
	for rest, at := n.Text, 0; rest != ""; {
		var length int // of what is read, in bytes
		switch {
		case strings.HasPrefix(rest, escaped):
			length = len(escaped)
			put(reference, at, 1)
		case strings.HasPrefix(rest, reference):
			value, end, problem := l.resolve(rest)
			if problem != "" {
				at := source{node: n}.place(at + 1)
				return source{}, &SyntaxError{Position: at, Problem: problem}
			}
			length = end
			put(value, at, 0)
		default:
			length = literal(rest)
			put(rest[:length], at, 1)
		}
		at += len([]rune(rest[:length]))
		rest = rest[length:]
	}
	s.text, s.columns = out.String(), append(s.columns, len([]rune(n.Text)))
	return s, nil
}

// literal is how much of a text is before the next reference or escape. It is not before
// the first.
func literal(text string) int {
	next := strings.Index(text, reference)
	switch {
	case next < 0:
		return len(text)
	case next > 0 && text[next-1] == '$':
		return next - 1
	default:
		return next
	}
}

// resolve returns the value of the reference with which a text begins, and where it ends,
// or what is wrong with it.
func (l Lookup) resolve(text string) (value string, end int, problem string) {
	end = strings.IndexByte(text, '}') + 1
	if end == 0 {
		return "", 0, `a "${" has no "}"`
	}
	inside, ok := strings.CutPrefix(text[:end-1], environment)
	if !ok {
		return "", 0, quote(text[:end]) + ` is no reference; it is ${env:NAME} or ${env:NAME:-default}, and "$${" for "${" itself`
	}
	name, fallback, given := strings.Cut(inside, otherwise)
	if !variable(name) {
		return "", 0, quote(name) + " cannot be the name of a variable: letters, digits and _, and no digit first"
	}
	if strings.Contains(fallback, reference) {
		return "", 0, "the default of " + name + " has a reference in it, which it cannot have"
	}
	if l != nil {
		value, ok = l(name)
	} else {
		ok = false
	}
	switch {
	case given && value == "":
		return fallback, end, ""
	case !ok:
		return "", 0, "the environment has no " + name + ", and no default is given"
	default:
		return value, end, ""
	}
}

// variable reports whether a variable can have that name.
func variable(name string) bool {
	return name != "" && (name[0] < '0' || name[0] > '9') && !slices.ContainsFunc([]byte(name), func(b byte) bool {
		return b != '_' && (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (b < '0' || b > '9')
	})
}
