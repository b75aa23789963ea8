package policy

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A token is a word, or one of the marks.
type token struct {
	text string // "" at the end
	at   Position
}

// marks have a meaning of their own wherever they stand.
const marks = "(),=>"

// isMark reports whether t is one of the marks.
func (t token) isMark() bool { return len(t.text) == 1 && strings.Contains(marks, t.text) }

// isWord reports whether t is a word.
func (t token) isWord() bool { return t.text != "" && !t.isMark() }

// A lexer cuts a text into tokens.
type lexer struct {
	rest   string
	column int
}

// next returns the next token.
func (l *lexer) next() token {
	for l.rest != "" {
		r, size := utf8.DecodeRuneInString(l.rest)
		if !unicode.IsSpace(r) {
			break
		}
		l.skip(size)
	}
	at := l.column
	end := strings.IndexFunc(l.rest, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(marks, r) })
	switch {
	case l.rest == "":
		return token{at: Position{Column: at}}
	case end == 0:
		end = 1 // a mark
	case end < 0:
		end = len(l.rest)
	}
	text := l.rest[:end]
	l.skip(end)
	return token{text, Position{Column: at}}
}

func (l *lexer) skip(bytes int) {
	l.column += utf8.RuneCountInString(l.rest[:bytes])
	l.rest = l.rest[bytes:]
}
