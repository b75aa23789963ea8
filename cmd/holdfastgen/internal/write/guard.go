package write

import (
	"fmt"
	"go/types"
	"slices"
	"strconv"
	"strings"

	"github.com/holdfast-go/holdfast/cmd/holdfastgen/internal/declare"
	"github.com/holdfast-go/holdfast/cmd/holdfastgen/internal/source"
)

// A guard is the type over one interface.
type guard struct {
	name       string            // of the type
	over       string            // the interface, with its package and type parameters
	plain      string            // the interface, with its package alone
	parameters string            // "[K comparable, V any]", or ""
	arguments  string            // "[K, V]", or ""
	inner      string            // the field of what is guarded
	fields     map[string]string // of the guards, by method
}

// guard writes the type over an interface.
func (w *writer) guard(i declare.Interface) {
	g := w.outline(i)
	if !w.canName(i) {
		return
	}
	w.structure(g, i)
	w.constructor(g, i)
	for _, m := range i.Methods {
		w.method(g, m)
	}
}

// outline finds the names.
func (w *writer) outline(i declare.Interface) guard {
	g := guard{name: guardName(i.Type, w.same), plain: i.Type.Name(), fields: make(map[string]string)}
	if !w.same {
		g.plain = w.imports.names[w.pkg.Path] + "." + g.plain
	}
	var declared, used []string
	for param := range typeParams(i.Type).TypeParams() {
		name := param.Obj().Name()
		if name == "_" {
			name = free("T", func(name string) bool { return w.imports.taken[name] || slices.Contains(used, name) })
		}
		declared, used = append(declared, name+" "+w.typ(param.Constraint())), append(used, name)
	}
	if len(used) > 0 {
		g.parameters, g.arguments = "["+strings.Join(declared, ", ")+"]", "["+strings.Join(used, ", ")+"]"
	}
	g.over = g.plain + g.arguments
	methods := make(map[string]bool)
	for _, m := range i.Methods {
		methods[m.Func.Name()] = true
	}
	taken := func(name string) bool { return methods[name] }
	g.inner = free("inner", taken)
	for _, m := range i.Methods {
		if m.Policy != nil {
			g.fields[m.Func.Name()] = free("guard"+m.Func.Name(), taken)
		}
	}
	for _, name := range []string{g.name, constructorName(g.name)} {
		if at, exists := w.place.taken[name]; exists {
			at.Filename = source.Relative(at.Filename)
			w.problemf(at, "%s is what the type over %s, or its constructor, has to be called", name, g.plain)
		}
	}
	return g
}

// canName reports what cannot be written down in another package.
func (w *writer) canName(i declare.Interface) bool {
	if w.same {
		return true
	}
	const way = "; write the file into the package itself"
	can, at := true, w.pkg.Position(i.Type.Pos())
	if w.pkg.Name == "main" {
		w.problemf(at, "%s is of a program, which no other package can import%s", i.Type.Name(), way)
		can = false
	}
	if !i.Type.Exported() {
		w.problemf(at, "%s is not exported%s", i.Type.Name(), way)
		can = false
	}
	for _, m := range i.Methods {
		if !m.Func.Exported() {
			w.problemf(m.At, "%s is not exported, so that no other package can implement %s%s", m.Func.Name(), i.Type.Name(), way)
			can = false
		}
		if part := unnameable(m.Func.Type(), make(map[types.Type]bool)); part != "" {
			w.problemf(m.At, "%s needs %s, which no other package can name%s", m.Func.Name(), part, way)
			can = false
		}
	}
	return can
}

func (w *writer) structure(g guard, i declare.Interface) {
	w.printf(`
// %[1]s is a [%[2]s] that runs the methods of another one
// under the policies that are declared with them. [%[3]s] makes one.
// It is as safe for concurrent use as what it is made over.
type %[1]s%[4]s struct {
	%[5]s %[6]s
`, g.name, g.plain, constructorName(g.name), g.parameters, g.inner, g.over)
	for _, m := range i.Methods {
		if field, ok := g.fields[m.Func.Name()]; ok {
			w.printf("%s *%s.Guard\n", field, w.orch)
		}
	}
	w.printf("}\n")
	if g.arguments == "" {
		w.printf("\nvar _ %s = (*%s)(nil)\n", g.over, g.name)
	}
}

func (w *writer) constructor(g guard, i declare.Interface) {
	w.printf(`
// %[1]s makes the guards of inner's methods. Those that exist already,
// made over another inner, are shared, unless there are opts, which each guard is given.
// The errors are those of [%[2]s.Orchestrator.Guard].
func %[1]s%[3]s(
	orch *%[2]s.Orchestrator, inner %[4]s, opts ...%[2]s.GuardOption,
) (*%[5]s, error) {
	g := &%[5]s{%[6]s: inner}
	var err error
`, constructorName(g.name), w.orch, g.parameters, g.over, g.name+g.arguments, g.inner)
	for _, m := range i.Methods {
		if field, ok := g.fields[m.Func.Name()]; ok {
			w.printf("if g.%s, err = orch.Guard(%q,\n%s,\nopts...,\n); err != nil {\nreturn nil, err\n}\n",
				field, m.Guard, w.literals().policy(m.Policy))
		}
	}
	w.printf("return g, nil\n}\n")
}

// method writes one method.
func (w *writer) method(g guard, m declare.Method) {
	s := w.signature(m)
	call := fmt.Sprintf("%s.%s.%s(%s)", s.receiver, g.inner, m.Func.Name(), strings.Join(s.given, ", "))
	field, guarded := g.fields[m.Func.Name()]
	if guarded {
		w.printf("\n// %s runs that of what is inside under the guard %q.\n", m.Func.Name(), m.Guard)
	} else {
		w.printf("\n// %s goes straight through: no policy is declared for it.\n", m.Func.Name())
	}
	w.printf("func (%s *%s) %s(%s) %s {\n", s.receiver, g.name+g.arguments, m.Func.Name(), strings.Join(s.declared, ", "), s.returned)
	defer w.printf("}\n")
	switch {
	case !guarded && len(s.results) == 0:
		w.printf("%s\n", call)
		return
	case !guarded:
		w.printf("return %s\n", call)
		return
	}
	on := s.receiver + "." + field
	end := ""
	if m.Key != nil {
		end = ", " + w.orch + ".Key(" + s.key(m.Key) + ")"
	}
	switch values := s.results[:len(s.results)-1]; len(values) {
	case 0:
		w.noValue(s, on, call, end)
	case 1:
		w.printf("return %s.%s(%s, %s, func(%s) (%s, error) {\nreturn %s\n}%s)\n", w.orch, s.do, s.ctx, on, s.inside, values[0], call, end)
	default:
		w.severalValues(s, values, on, call, end)
	}
}

// noValue writes the body of a method that returns an error and nothing else.
func (w *writer) noValue(s signature, on, call, end string) {
	if s.do == run {
		w.printf("return %s.%s(%s, %s, func(%s) error {\nreturn %s\n}%s)\n", w.orch, s.do, s.ctx, on, s.inside, call, end)
		return
	}
	err := s.local("err")
	w.printf("_, %s := %s.%s(%s, %s, func(%s) (struct{}, error) {\n", err, w.orch, s.do, s.ctx, on, s.inside)
	w.printf("return struct{}{}, %s\n}%s)\nreturn %s\n", call, end, err)
}

// severalValues writes the body of a method with several values: they travel together, so
// that those of an attempt that failed are not mixed with those of another.
func (w *writer) severalValues(s signature, values []string, on, call, end string) {
	results, got, err := s.local("results"), s.local("got"), s.local("err")
	w.printf("type %s struct {\n", results)
	assigned, returned := make([]string, 0, len(values)), make([]string, 0, len(values))
	for n, value := range values {
		field := "r" + strconv.Itoa(n)
		w.printf("%s %s\n", field, value)
		assigned, returned = append(assigned, got+"."+field), append(returned, got+"."+field)
	}
	w.printf("}\n%s, %s := %s.%s(%s, %s, func(%s) (%s %s, %s error) {\n", got, err, w.orch, s.do, s.ctx, on, s.inside, got, results, err)
	w.printf("%s, %s = %s\nreturn %s, %s\n}%s)\n", strings.Join(assigned, ", "), err, call, got, err, end)
	w.printf("return %s, %s\n", strings.Join(returned, ", "), err)
}
