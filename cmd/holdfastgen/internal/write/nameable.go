package write

import "go/types"

// unnameable says which part of a type another package cannot write down; "" is none.
func unnameable(t types.Type, seen map[types.Type]bool) string {
	if seen[t] {
		return ""
	}
	seen[t] = true
	if own := hidden(t); own != "" {
		return own
	}
	for _, part := range parts(t) {
		if found := unnameable(part, seen); found != "" {
			return found
		}
	}
	return ""
}

// hidden says what is not exported in a type itself.
func hidden(t types.Type) string {
	switch t := t.(type) {
	case *types.Alias:
		return hiddenName(t.Obj())
	case *types.Named:
		return hiddenName(t.Obj())
	case *types.Struct:
		for field := range t.Fields() {
			if !field.Exported() {
				return "a struct with the field " + field.Name()
			}
		}
	case *types.Interface:
		for method := range t.Methods() {
			if !method.Exported() {
				return "an interface with the method " + method.Name()
			}
		}
	}
	return ""
}

func hiddenName(name *types.TypeName) string {
	if name.Pkg() == nil || name.Exported() {
		return ""
	}
	return name.Pkg().Name() + "." + name.Name()
}

// parts are the types that a type is written with.
func parts(t types.Type) (parts []types.Type) {
	switch t := t.(type) {
	case *types.Alias:
		for arg := range t.TypeArgs().Types() {
			parts = append(parts, arg)
		}
	case *types.Named:
		for arg := range t.TypeArgs().Types() {
			parts = append(parts, arg)
		}
	case *types.Map:
		return []types.Type{t.Key(), t.Elem()}
	case interface{ Elem() types.Type }: // pointers, slices, arrays and channels
		return []types.Type{t.Elem()}
	case *types.Signature:
		return []types.Type{t.Params(), t.Results()}
	case *types.Tuple:
		for v := range t.Variables() {
			parts = append(parts, v.Type())
		}
	case *types.Struct:
		for field := range t.Fields() {
			parts = append(parts, field.Type())
		}
	case *types.Interface:
		for method := range t.Methods() {
			parts = append(parts, method.Signature())
		}
	}
	return parts
}
