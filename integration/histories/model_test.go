package histories

import (
	"fmt"
	"hash/maphash"

	"github.com/anishathalye/porcupine"
)

// An entity is a bucket or a breaker by the rules of the domain. It never changes.
type entity interface {
	// do is the entity after it was asked at a time of the server, and its answer.
	do(atMicro int64, asked any) (entity, any)
	equal(other entity) bool
	String() string // all of it, for pictures
}

// An ask is what a history says that was asked.
type ask struct {
	atMicro int64 // when the server did it; of an unknown outcome, when it did if it did
	asked   any   // takes, port.Report, port.ProbeRequest or *loss
	unknown bool  // nobody was answered
	before  int   // how many others the server did earlier
}

// A loss is what happened when a server was lost.
type loss struct {
	all bool // the next one started with nothing

	// Else the next one was its replica, which had all that was executed until
	// hadMicro, and nothing that was executed after cutMicro.
	hadMicro, cutMicro int64
}

// A state is one that the store may be in. It belongs to one entity.
type state struct {
	done    int   // operations
	atMicro int64 // of the last of them
	entity  entity

	// past is the state before, as far back as the next loss may go.
	past *state
}

// A model is the rules for one entity, which begins as none, and what is known
// of the servers that were lost.
type model struct {
	none   entity
	losses []ask // in the order of time
}

// porcupine is the model as the checker takes it: a state is the set of those
// that the store may be in.
func (m model) porcupine() porcupine.Model {
	seed := maphash.MakeSeed()
	n := porcupine.NondeterministicModel{
		Init: func() []any { return []any{&state{entity: m.none}} },
		Step: func(s, in, out any) []any { return m.step(s.(*state), in.(ask), out) },
		Equal: func(a, b any) bool {
			x, y := a.(*state), b.(*state)
			return x.atMicro == y.atMicro && x.past == y.past && x.entity.equal(y.entity)
		},
		Hash:              func(s any) uint64 { return maphash.String(seed, s.(*state).entity.String()) },
		DescribeOperation: describe,
		DescribeState:     func(s any) string { return s.(*state).entity.String() },
	}
	return n.ToModel()
}

// step returns the states after s in which in may have been answered by out.
//
// Decisions come in the order of the server's clock. So does one whose outcome
// is unknown: where it belongs if it was made is where it also may stand if it
// was not. To refuse what comes before its turn, and not only when that is over,
// spares the checker nearly all of its search.
func (m model) step(s *state, in ask, out any) []any {
	if in.before > s.done {
		return nil
	}
	if l, ok := in.asked.(*loss); ok {
		return m.lose(s, in.atMicro, l)
	}
	after, said := s.entity.do(in.atMicro, in.asked)
	switch {
	case in.unknown:
		return []any{m.next(s, s.entity, in.atMicro), m.next(s, after, in.atMicro)}
	case same(said, out):
		return []any{m.next(s, after, in.atMicro)}
	default:
		return nil
	}
}

// next is the state after s, with its past if a loss may need it.
func (m model) next(s *state, e entity, atMicro int64) *state {
	n := &state{done: s.done + 1, atMicro: atMicro, entity: e}
	for _, in := range m.losses {
		if l := in.asked.(*loss); !l.all && atMicro > l.hadMicro && atMicro <= in.atMicro {
			n.past = s
		}
	}
	return n
}

// lose returns the states that the next server may have begun with: of those
// that there were while the replica followed, any; of those before, the last;
// and of those that it cannot have heard of, none.
func (m model) lose(s *state, atMicro int64, l *loss) (may []any) {
	done := s.done + 1
	if l.all {
		return []any{&state{done: done, atMicro: atMicro, entity: m.none}}
	}
	for ; s != nil; s = s.past {
		if s.atMicro <= l.cutMicro {
			may = append(may, &state{done: done, atMicro: atMicro, entity: s.entity})
		}
	}
	return may
}

func describe(in, out any) string {
	a := in.(ask)
	if a.unknown {
		return fmt.Sprintf("at %d if at all: %+v", a.atMicro, a.asked)
	}
	return fmt.Sprintf("at %d: %+v → %+v", a.atMicro, a.asked, out)
}
