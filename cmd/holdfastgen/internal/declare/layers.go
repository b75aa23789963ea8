package declare

import (
	"errors"
	"fmt"
	"strings"

	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/policy"
)

// layers are what one directive declares, outermost first.
func (r *reader) layers(d directive) (layers []hold.Policy) {
	if d.name != resilient {
		return r.older(d)
	}
	if d.said != "" && !strings.HasPrefix(d.said, " ") && !strings.HasPrefix(d.said, "\t") {
		r.problemf(d.where, "a space is missing after %s%s", mark, resilient)
		return nil
	}
	return r.policy(d.text)
}

// policy are the layers of a text.
func (r *reader) policy(t text) (layers []hold.Policy) {
	if strings.TrimSpace(t.said) == "" {
		r.problemf(t.near, "no policy is given; to protect nothing, write none")
		return nil
	}
	p, deprecated, err := policy.Check(t.said)
	if wrong, ok := errors.AsType[*policy.SyntaxError](err); ok {
		said := strings.TrimPrefix(wrong.Error(), fmt.Sprintf("column %d: ", wrong.Column))
		r.problemf(t.column(wrong.Column), "%s", said)
		return nil
	}
	if err != nil {
		r.problemf(t.near, "%v", err)
		return nil
	}
	for _, old := range deprecated {
		r.warnf(t.column(old.Column), "%s is deprecated; write %s", old.Old, old.New)
	}
	return hold.Layers(p)
}
