package write

import (
	"go/types"
	"strconv"
	"strings"

	"github.com/holdfast-go/holdfast/cmd/holdfastgen/internal/declare"
	hold "github.com/holdfast-go/holdfast/domain"
)

// What runs a function of a method.
const (
	do           = "Do"
	run          = "Run"          // for one that returns no value
	doIdempotent = "DoIdempotent" // for a policy with a hedge: who declares one says that the method may run twice at once
)

// A signature is that of a method, as it is written.
type signature struct {
	receiver string
	declared []string // "ctx context.Context", "p payment.Payment"
	given    []string // "ctx", "p", "more..."
	results  []string // the types
	returned string   // the results, as they stand behind the parameters
	ctx      string   // the name of the first parameter
	inside   string   // the parameter of the function that is run
	do       string
	params   []string
	taken    map[string]bool
}

// signature gives each parameter a name that hides nothing that the body needs.
func (w *writer) signature(m declare.Method) signature {
	sig := m.Func.Signature()
	s := signature{taken: make(map[string]bool)}
	for name := range w.imports.taken {
		s.taken[name] = true
	}
	for _, name := range types.Universe.Names() {
		s.taken[name] = true
	}
	if w.same {
		for _, name := range w.pkg.Types.Scope().Names() {
			s.taken[name] = true
		}
	}
	s.receiver = s.local("g")
	for i := range sig.Params().Len() {
		param := sig.Params().At(i)
		name := s.local(wish(param, i, m))
		typ, given := w.typ(param.Type()), name
		if sig.Variadic() && i == sig.Params().Len()-1 {
			typ, given = "..."+strings.TrimPrefix(typ, "[]"), name+"..."
		}
		s.params, s.declared, s.given = append(s.params, name), append(s.declared, name+" "+typ), append(s.given, given)
	}
	if len(s.params) > 0 {
		s.ctx, s.inside = s.params[0], s.declared[0]
	}
	for result := range sig.Results().Variables() {
		s.results = append(s.results, w.typ(result.Type()))
	}
	if s.returned = strings.Join(s.results, ", "); len(s.results) > 1 {
		s.returned = "(" + s.returned + ")"
	}
	s.do = runs(m.Policy, len(s.results))
	return s
}

// wish is what the i-th parameter of a method should be called.
func wish(param *types.Var, i int, m declare.Method) string {
	switch name := param.Name(); {
	case name != "" && name != "_":
		return name
	case i == 0 && m.Policy != nil: // which needs one
		return "ctx"
	default:
		return "p" + strconv.Itoa(i)
	}
}

// runs is what runs a function with so many results under a policy.
func runs(p hold.Policy, results int) string {
	for _, layer := range hold.Layers(p) {
		if _, hedged := layer.(hold.Hedge); hedged {
			return doIdempotent
		}
	}
	if results == 1 {
		return run
	}
	return do
}

// local is a free name in the method's body, like wish.
func (s signature) local(wish string) string {
	name := free(wish, func(name string) bool { return s.taken[name] })
	s.taken[name] = true
	return name
}

// key writes the key of a call.
func (s signature) key(k *declare.Key) string {
	said := strings.Join(append([]string{s.params[k.Param]}, k.Fields...), ".")
	if k.Convert {
		return "string(" + said + ")"
	}
	return said
}
