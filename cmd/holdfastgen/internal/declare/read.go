package declare

import (
	"context"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"github.com/holdfast-go/holdfast/cmd/holdfastgen/internal/source"
	hold "github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/store/memory"
)

// An Interface is one of whose methods some declare policies.
type Interface struct {
	Type    *types.TypeName
	Methods []Method // all of them, in the order of their names
}

// A Method is one of an interface, its own or of one that is embedded.
type Method struct {
	Func   *types.Func
	Guard  string         // the name of its guard
	Policy hold.Policy    // nil is none: it passes straight through
	Key    *Key           // nil is none
	At     token.Position // where it is declared
}

// Read reads the interfaces of those names or, where none is given, all those that declare
// something. prefix is what the names of guards begin with; "" is the package's name and the
// interface's. What is deprecated is a warning. The error is all problems there are.
func Read(ctx context.Context, p *source.Package, names []string, prefix string) (declared []Interface, warnings Problems, err error) {
	//nolint:contextcheck // it makes guards and runs none
	orch, err := orchestrator.New(memory.New(memory.Options{}).Stores(), orchestrator.Config{})
	if err != nil {
		return nil, nil, err
	}
	defer orch.Close(ctx)
	r := &reader{p: p, at: p.Position, orch: orch, used: make(map[token.Pos]bool)}
	bound := r.tags()
	r.strays()
	for _, name := range r.chosen(names) {
		i := r.read(name, bound[name.Name()], prefix)
		if len(names) > 0 || i.declares() {
			declared = append(declared, i)
		}
	}
	r.enough(declared, prefix)
	if err := r.problems.Err(); err != nil {
		return nil, r.warnings.Sorted(), err
	}
	return declared, r.warnings.Sorted(), nil
}

// A reader reads one package.
type reader struct {
	p                  *source.Package
	at                 func(token.Pos) token.Position
	orch               *orchestrator.Orchestrator // which makes each guard once, to see that it can be
	used               map[token.Pos]bool         // directives that stand where they are read
	problems, warnings Problems
}

func (r *reader) problemf(pos token.Pos, format string, args ...any) {
	r.problems = append(r.problems, PositionError{r.at(pos), fmt.Sprintf(format, args...)})
}

func (r *reader) warnf(pos token.Pos, format string, args ...any) {
	r.warnings = append(r.warnings, PositionError{r.at(pos), fmt.Sprintf(format, args...)})
}

// eachType visits the types that the package declares, with their comments.
func (r *reader) eachType(visit func(spec *ast.TypeSpec, doc *ast.CommentGroup)) {
	for _, file := range r.p.Files {
		for _, decl := range file.Decls {
			group, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range group.Specs {
				if spec, ok := spec.(*ast.TypeSpec); ok {
					doc := spec.Doc
					if doc == nil && !group.Lparen.IsValid() {
						doc = group.Doc
					}
					visit(spec, doc)
				}
			}
		}
	}
}

// everywhere reports what is wrong with the package as a whole.
func (r *reader) everywhere(text string) {
	r.problems = append(r.problems, PositionError{token.Position{Filename: source.Relative(r.p.Dir)}, text})
}

// methodsOf is an interface as one.
func methodsOf(name *types.TypeName) *types.Interface {
	i, _ := name.Type().Underlying().(*types.Interface)
	return i
}

func (r *reader) isInterface(name string) bool {
	object, ok := r.p.Types.Scope().Lookup(name).(*types.TypeName)
	return ok && types.IsInterface(object.Type())
}

// chosen are the interfaces of those names, or all.
func (r *reader) chosen(names []string) (chosen []*types.TypeName) {
	scope := r.p.Types.Scope()
	all := len(names) == 0
	if all {
		names = slices.DeleteFunc(scope.Names(), func(name string) bool { return !r.isInterface(name) })
	}
	for _, name := range names {
		object, ok := scope.Lookup(name).(*types.TypeName)
		switch {
		case !ok || !types.IsInterface(object.Type()):
			r.everywhere(r.p.Path + " has no interface " + name)
		case !methodsOf(object).IsMethodSet():
			if !all {
				r.problemf(object.Pos(), "%s is a constraint, and no interface of methods alone", name)
			}
		default:
			chosen = append(chosen, object)
		}
	}
	return chosen
}

// read reads one interface.
func (r *reader) read(name *types.TypeName, tags map[string]tagged, prefix string) Interface {
	i := Interface{Type: name}
	if prefix == "" {
		prefix = r.p.Name + "." + name.Name()
	}
	found := make(map[string]bool)
	for fn := range methodsOf(name).Methods() {
		found[fn.Name()] = true
		tag, isTagged := tags[fn.Name()]
		m := r.method(fn, tag, isTagged)
		m.Guard = prefix + "." + fn.Name()
		i.Methods = append(i.Methods, m)
	}
	for field, tag := range tags {
		if !found[field] {
			r.problemf(tag.pos, "%s has no method %s", name.Name(), field)
		}
	}
	if i.declares() {
		r.sound(name)
		r.guards(i)
	}
	slices.SortFunc(i.Methods, func(a, b Method) int { return strings.Compare(a.Func.Name(), b.Func.Name()) })
	return i
}

// method reads one method.
func (r *reader) method(fn *types.Func, tag tagged, isTagged bool) Method {
	m := Method{Func: fn, At: r.p.Position(fn.Pos())}
	var above []directive
	pos := fn.Pos()
	if field := r.p.Method(fn); field != nil {
		above, pos = of(field.Doc), field.Names[0].Pos()
		m.At = r.p.Position(pos)
	}
	if fn.Pkg() != r.p.Types {
		r.known(above)
	}
	var layers []hold.Policy
	var keys []text
	declares := isTagged
	for _, d := range above {
		switch d.name {
		case key:
			keys = append(keys, d.text)
		case resilient, retry, circuitBreaker, rateLimited:
			declares = true
			layers = append(layers, r.layers(d)...)
		}
	}
	if isTagged {
		if len(above) > 0 {
			r.problemf(tag.pos, "%s has directives too; a policy is declared in one place", fn.Name())
		}
		layers = r.policy(tag.policy)
		if tag.key != nil {
			keys = append(keys, *tag.key)
		}
	}
	if len(layers) > 0 {
		m.Policy = hold.Combine(layers[0], layers[1:]...)
	}
	r.keys(&m, keys, declares)
	if declares {
		r.fits(fn, pos)
	}
	return m
}

// keys reads what the key of a method is.
func (r *reader) keys(m *Method, keys []text, declares bool) {
	switch {
	case len(keys) > 1:
		r.problemf(keys[1].near, "a method has one key")
	case len(keys) == 1 && !declares:
		r.problemf(keys[0].near, "a key is given, and no policy")
	case m.Policy == nil: // which was told
	case len(keys) == 1 && !keyed(m.Policy):
		r.problemf(keys[0].near, "a key is given, and nothing in the policy is keyed")
	case len(keys) == 0 && keyed(m.Policy):
		r.problems = append(r.problems, PositionError{m.At, fmt.Sprintf(
			"the policy of %s is keyed; say which argument is the key: %skey tenant", m.Func.Name(), mark)})
	case len(keys) == 1:
		m.Key = r.keyOf(keys[0], m.Func.Signature())
	}
}

func (i Interface) declares() bool {
	return slices.ContainsFunc(i.Methods, func(m Method) bool { return m.Policy != nil })
}
