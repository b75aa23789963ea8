package declare

import (
	"go/token"
	"go/types"
	"strings"

	hold "github.com/holdfast-go/holdfast/domain"
)

// A Key says which argument of a method is the key of its keyed limits and breakers.
type Key struct {
	Param   int      // which parameter
	Fields  []string // the fields to go through from there
	Convert bool     // its type is not string itself
}

// keyOf finds what a text such as "tenant" or "p.Customer" means among a method's parameters.
func (r *reader) keyOf(t text, sig *types.Signature) *Key {
	said := strings.TrimSpace(t.said)
	at := t.column(1 + len(t.said) - len(strings.TrimLeft(t.said, " \t")))
	name, rest, _ := strings.Cut(said, ".")
	param := -1
	for i := range sig.Params().Len() {
		if sig.Params().At(i).Name() == name && name != "" && name != "_" {
			param = i
		}
	}
	if param < 0 {
		r.problemf(at, "%q is no parameter of the method", name)
		return nil
	}
	found := &Key{Param: param}
	typ := sig.Params().At(param).Type()
	for rest != "" {
		name, rest, _ = strings.Cut(rest, ".")
		object, _, _ := types.LookupFieldOrMethod(typ, true, nil, name)
		field, ok := object.(*types.Var)
		if !ok || !token.IsExported(name) {
			r.problemf(at, "%s has no exported field %q", typ, name)
			return nil
		}
		found.Fields, typ = append(found.Fields, name), field.Type()
	}
	if basic, ok := typ.Underlying().(*types.Basic); !ok || basic.Kind() != types.String {
		r.problemf(at, "%s is a %s; a key is a string", said, typ)
		return nil
	}
	found.Convert = !types.Identical(typ, types.Typ[types.String])
	return found
}

// keyed reports whether a policy asks for a key.
func keyed(p hold.Policy) bool {
	for _, layer := range hold.Layers(p) {
		switch layer := layer.(type) {
		case hold.RateLimit:
			if layer.Keyed {
				return true
			}
		case hold.CircuitBreaker:
			if layer.Keyed {
				return true
			}
		}
	}
	return false
}
