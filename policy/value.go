package policy

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// wrong is the error of a value that is not what its field takes.
func wrong(a arg, expected string) error {
	problem := quote(a.value.text)
	if a.call != nil {
		problem += "(…)"
	}
	if a.name.text != "" {
		problem += " for " + a.name.text
	}
	return &SyntaxError{Position: a.value.at, Problem: "there is " + problem, Expected: expected}
}

// plain returns the word of an argument; false when it is a call.
func plain(a arg) (string, bool) { return a.value.text, a.call == nil }

func parseDuration(a arg) (time.Duration, error) {
	if text, ok := plain(a); ok {
		if d, err := time.ParseDuration(text); err == nil {
			return d, nil
		}
	}
	return 0, wrong(a, "a duration, such as 100ms or 1m30s")
}

func parseInt(a arg) (int64, error) {
	if text, ok := plain(a); ok {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n, nil
		}
	}
	return 0, wrong(a, "a whole number")
}

func parseFloat(a arg) (float64, error) {
	if text, ok := plain(a); ok {
		if x, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(x) && !math.IsInf(x, 0) && !strings.ContainsAny(text, "xX_") {
			return x, nil
		}
	}
	return 0, wrong(a, "a number, such as 0.5")
}

func parseBool(a arg) (bool, error) {
	switch text, ok := plain(a); {
	case ok && text == "true":
		return true, nil
	case ok && text == "false":
		return false, nil
	default:
		return false, wrong(a, "true or false")
	}
}

// parseLimit reads a rate, such as 100/s.
func parseLimit(a arg) (domain.Limit, error) {
	const expected = "a rate, such as 100/s, 50/m or 1000/24h"
	text, ok := plain(a)
	count, period, cut := strings.Cut(text, "/")
	if !ok || !cut {
		return domain.Limit{}, wrong(a, expected)
	}
	tokens, err := strconv.ParseInt(count, 10, 64)
	if err != nil {
		return domain.Limit{}, wrong(a, expected)
	}
	switch period {
	case "s", "m", "h":
		period = "1" + period
	default:
	}
	every, err := time.ParseDuration(period)
	if err != nil {
		return domain.Limit{}, wrong(a, expected)
	}
	return domain.Per(tokens, every), nil
}

// The fields of each type.

func text[T any](name string, of func(*T) *string) field[T] {
	return field[T]{name: name, word: true, set: func(p *T, a arg) error {
		word, ok := plain(a)
		if !ok {
			return wrong(a, "a name")
		}
		*of(p) = word
		return nil
	}}
}

func duration[T any](name string, of func(*T) *time.Duration) field[T] {
	return parsed(name, parseDuration, of)
}

func float[T any](name string, of func(*T) *float64) field[T] { return parsed(name, parseFloat, of) }

func flag[T any](name string, of func(*T) *bool) field[T] { return parsed(name, parseBool, of) }

func long[T any](name string, of func(*T) *int64) field[T] { return parsed(name, parseInt, of) }

func number[T any](name string, of func(*T) *int) field[T] {
	return parsed(name, func(a arg) (int, error) {
		n, err := parseInt(a)
		if err == nil && int64(int(n)) != n {
			err = wrong(a, "a smaller number")
		}
		return int(n), err
	}, of)
}

// parsed is a field that one function reads.
func parsed[T, V any](name string, parse func(arg) (V, error), of func(*T) *V) field[T] {
	return field[T]{name: name, set: func(p *T, a arg) error {
		v, err := parse(a)
		if err == nil {
			*of(p) = v
		}
		return err
	}}
}

// choice is a field that takes one of some words.
func choice[T any, V interface {
	comparable
	String() string
}](name string, of func(*T) *V, values ...V,
) field[T] {
	return parsed(name, func(a arg) (V, error) { return choose(a, values) }, of)
}

func choose[V interface{ String() string }](a arg, values []V) (V, error) {
	var names []string
	for _, v := range values {
		if word, ok := plain(a); ok && word == v.String() {
			return v, nil
		}
		names = append(names, v.String())
	}
	var none V
	err := &SyntaxError{
		Position: a.value.at, Problem: "there is " + quote(a.value.text) + " for " + a.name.text,
		Expected: oneOf(names), Nearest: nearest(a.value.text, names),
	}
	return none, err
}
