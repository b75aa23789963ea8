package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/operate"
)

// The operator, and what they order.
const (
	operator    = "ann"
	forceReason = "the provider moves house"
	forceFor    = time.Minute                       // it is ended before,
	forceTime   = forceBound + 250*time.Millisecond // but not sooner than that
)

// forceOpen has an operator stop all calls for a while, as `holdfast override` does.
func (s *story) forceOpen(ctx context.Context) error {
	if err := s.until(ctx, forceAt, 0.25); err != nil {
		return err
	}
	desk, err := operate.New(s.cast.store.ports, operator)
	if err != nil {
		return err
	}
	s.tell(fmt.Sprintf("%s: holdfast override %s open --for %s --reason %q", operator, part, forceFor, forceReason))
	s.evidence.forced.from = s.cast.clock.now()
	if err := s.order(ctx, desk, domain.Override{Force: domain.ForceOpen, For: forceFor, Reason: forceReason}); err != nil {
		return err
	}
	if err := pause(ctx, max(s.beats(forcedBeats), forceTime)/2); err != nil {
		return err
	}
	if err := s.tellWhoObeys(ctx); err != nil {
		return err
	}
	if err := pause(ctx, max(s.beats(forcedBeats), forceTime)/2); err != nil {
		return err
	}
	s.tell(fmt.Sprintf("%s: holdfast override %s none", operator, part))
	s.evidence.forced.to = s.cast.clock.now()
	if s.options.sabotage.forgetful {
		return nil
	}
	return s.order(ctx, desk, domain.Override{})
}

func (s *story) order(ctx context.Context, desk *operate.Desk, o domain.Override) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return desk.Override(ctx, port.ID{Name: part}, o)
}

// tellWhoObeys asks the replicas what stops their calls.
func (s *story) tellWhoObeys(ctx context.Context) error {
	if _, err := s.tallies(ctx); err != nil {
		return err
	}
	var alive, obey int
	var who, why string
	for _, m := range s.cast.members {
		w, dead := m.latest()
		if dead {
			continue
		}
		alive++
		if w.Scope == domain.ScopeOperator && w.State == domain.StateOpen {
			obey++
			who, why = w.By, w.Reason
		}
	}
	s.tell(fmt.Sprintf("%d of %d replicas refuse all calls, by order of %q: %q", obey, alive, who, why))
	return nil
}

// afterEnd returns how many ms after the end of an override the next call came.
func afterEnd(arrivals []arrival, forced span) float64 {
	for _, a := range arrivals {
		if forced != (span{}) && a.at > forced.to {
			return millis(a.at - forced.to)
		}
	}
	return unknown()
}
