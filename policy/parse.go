package policy

import (
	"errors"
	"strings"

	"github.com/holdfast-go/holdfast/domain"
)

// Parse reads a policy and validates it. Its error is a [*SyntaxError] that says where and
// what is wrong. Deprecated spellings are read without a word: see [Check].
func Parse(text string) (domain.Policy, error) {
	p, _, err := Check(text)
	return p, err
}

// Check is Parse that tells of deprecated spellings.
func Check(text string) (domain.Policy, []Deprecation, error) {
	calls, err := read(text)
	if err != nil {
		return nil, nil, err
	}
	var layers []domain.Policy
	var old []Deprecation
	for _, c := range calls {
		layer, deprecated, err := build(c)
		if err != nil {
			return nil, nil, err
		}
		layers, old = append(layers, layer), append(old, deprecated...)
	}
	return domain.Combine(layers[0], layers[1:]...), old, nil
}

// build makes the policy of one layer.
func build(c *call) (domain.Policy, []Deprecation, error) {
	k, known := kindOf(c.kind.text)
	if !known {
		return nil, nil, noKind(c.kind, kindNames())
	}
	p, old, err := k.build(c)
	if err != nil {
		return nil, nil, err
	}
	if err := p.Validate(); err != nil {
		return nil, nil, misfit(c, err)
	}
	return p, old, nil
}

// noKind is the error of a name that is none of those that may stand there.
func noKind(name token, names []string) error {
	return &SyntaxError{
		Position: name.at, Problem: quote(name.text) + " is no kind of policy",
		Expected: oneOf(names), Nearest: nearest(name.text, names),
	}
}

// misfit is the error of a policy that can be read and cannot be meant: where its field
// stands or, if it does not, the policy.
func misfit(c *call, err error) error {
	wrong := &SyntaxError{Position: c.kind.at, Problem: strings.TrimPrefix(err.Error(), domain.ErrInvalidPolicy.Error()+": "), Err: err}
	invalid, ok := errors.AsType[*domain.PolicyError](err)
	if !ok {
		return wrong
	}
	field, rest, _ := strings.Cut(invalid.Field, ".")
	field = snake(field)
	for _, a := range c.args {
		switch {
		case a.name.text != field:
			continue
		case a.call != nil && rest != "":
			wrong.Position = a.call.placeOf(snake(rest), a.value.at)
		default:
			wrong.Position = a.value.at
		}
	}
	return wrong
}

// placeOf is where the value of a name stands, or else.
func (c *call) placeOf(name string, otherwise Position) Position {
	for _, a := range c.args {
		if a.name.text == name {
			return a.value.at
		}
	}
	return otherwise
}

// snake is a field's name as texts have it.
func snake(field string) string {
	var b strings.Builder
	for i, r := range field {
		if 'A' <= r && r <= 'Z' {
			if i > 0 {
				b.WriteByte('_')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}
