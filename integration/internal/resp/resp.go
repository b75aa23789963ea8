// Package resp reads what Redis and its clients say to each other, for proxies
// that have to know what passes them.
package resp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// An Error is what a server answers when it refuses a command.
type Error string

var errSyntax = errors.New("not RESP")

// Read reads one value of RESP 2 or 3, and writes its bytes to raw. Numbers are
// int64, lists of any kind are []any, null is nil, and what else there is are
// strings.
func Read(from *bufio.Reader, raw *bytes.Buffer) (any, error) {
	line, err := from.ReadString('\n')
	if err != nil {
		return nil, err
	}
	raw.WriteString(line)
	if len(line) < 3 {
		return nil, errSyntax
	}
	kind, text := line[0], line[1:len(line)-2]
	length, _ := strconv.Atoi(text)
	switch kind {
	case ':':
		return strconv.ParseInt(text, 10, 64)
	case '-':
		return Error(text), nil
	case '+', ',', '#', '(', '_':
		return text, nil
	case '$', '=', '!':
		return readBody(from, raw, length)
	case '%':
		return readItems(from, raw, 2*length)
	case '*', '~', '>':
		return readItems(from, raw, length)
	default:
		return nil, fmt.Errorf("%w: %q", errSyntax, line)
	}
}

func readBody(from *bufio.Reader, raw *bytes.Buffer, length int) (any, error) {
	if length < 0 {
		return nil, nil //nolint:nilnil // it is RESP's null
	}
	body := make([]byte, length+2)
	if _, err := io.ReadFull(from, body); err != nil {
		return nil, err
	}
	raw.Write(body)
	return string(body[:length]), nil
}

func readItems(from *bufio.Reader, raw *bytes.Buffer, length int) (any, error) {
	items := make([]any, 0, max(length, 0))
	for range length {
		item, err := Read(from, raw)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}
