package policy

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// places finds lines and columns in a file.
type places struct {
	data  []byte
	lines []int // where each line begins

	offset int // of the last answer, from which the next one is counted: a line may be long
	last   Position
}

func newPlaces(data []byte) *places {
	p := &places{data: data, lines: []int{0}, last: Position{Line: 1, Column: 1}}
	for i := range data {
		if data[i] == '\n' {
			p.lines = append(p.lines, i+1)
		}
	}
	return p
}

// at is the place of the byte at an offset.
func (p *places) at(offset int) Position {
	line, exact := slices.BinarySearch(p.lines, offset)
	if !exact {
		line--
	}
	from, at := p.lines[line], Position{Line: line + 1, Column: 1}
	if p.last.Line == at.Line && p.offset <= offset {
		from, at = p.offset, p.last
	}
	at.Column += utf8.RuneCount(p.data[from:offset])
	p.offset, p.last = offset, at
	return at
}

// ofColumn is the place of the character at a column, where the columns go on through all
// lines.
func (p *places) ofColumn(column int) Position {
	rest := p.data
	for ; column > 1 && len(rest) > 0; column-- {
		_, size := utf8.DecodeRune(rest)
		rest = rest[size:]
	}
	if len(bytes.TrimSpace(rest)) == 0 { // what is missing is missing after the last word
		return p.at(len(bytes.TrimRight(p.data, " \t\r\n")))
	}
	return p.at(len(p.data) - len(rest))
}
