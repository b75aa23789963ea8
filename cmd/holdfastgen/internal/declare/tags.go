package declare

import (
	"go/ast"
	"go/token"
	"reflect"
	"strconv"
	"strings"
)

// A tagged policy is that of a struct's field.
type tagged struct {
	pos    token.Pos // the field's
	policy text
	key    *text
}

// tags reads the structs that are bound to interfaces: for each interface's name the
// policies by the methods' names.
func (r *reader) tags() map[string]map[string]tagged {
	bound := make(map[string]map[string]tagged)
	r.eachType(func(spec *ast.TypeSpec, doc *ast.CommentGroup) {
		for _, d := range of(doc) {
			if d.name != policies {
				continue
			}
			r.used[d.pos] = true
			name := strings.TrimSpace(d.said)
			structure, ok := spec.Type.(*ast.StructType)
			switch {
			case !ok:
				r.problemf(d.pos, "%s%s stands above a struct", mark, policies)
			case bound[name] != nil:
				r.problemf(d.pos, "%q has such a struct already", name)
			case !r.isInterface(name):
				r.problemf(d.column(2), "%q is no interface of the package", name)
			default:
				bound[name] = r.fields(structure)
			}
		}
	})
	return bound
}

func (r *reader) fields(structure *ast.StructType) map[string]tagged {
	by := make(map[string]tagged)
	for _, field := range structure.Fields.List {
		if len(field.Names) != 1 {
			r.problemf(field.Pos(), "each policy is one field, with the name of a method")
			continue
		}
		name := field.Names[0]
		policy, ok := tag(field, "holdfast")
		if !ok {
			r.problemf(name.Pos(), "%s has no tag holdfast; to protect nothing, write `holdfast:\"none\"`", name.Name)
			continue
		}
		found := tagged{pos: name.Pos(), policy: policy}
		if key, ok := tag(field, "key"); ok {
			found.key = &key
		}
		by[name.Name] = found
	}
	return by
}

// tag finds a key of a field's tag, and where its value stands, if it stands there as it is.
func tag(field *ast.Field, key string) (found text, ok bool) {
	if field.Tag == nil {
		return text{}, false
	}
	whole, err := strconv.Unquote(field.Tag.Value)
	if err != nil {
		return text{}, false
	}
	said, ok := reflect.StructTag(whole).Lookup(key)
	found = text{said: said, near: field.Tag.Pos()}
	if i := strings.Index(field.Tag.Value, key+`:"`+said+`"`); i >= 0 {
		found.where = field.Tag.Pos() + token.Pos(i+len(key)+2)
	}
	return found, ok
}
