package histories

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
)

// takes are what one script asked one bucket.
type takes []port.TakeRequest

// A bucketEntity is a bucket.
type bucketEntity struct{ bucket.State }

func (b bucketEntity) do(atMicro int64, asked any) (entity, any) {
	in := asked.(takes)
	asks, answers := make([]bucket.Ask, len(in)), make([]bucket.Answer, len(in))
	for i := range in {
		asks[i] = in[i].Ask
	}
	foreign := b.Decide(atMicro, &in[0].Rule, in[0].Manner, asks, answers) // b is a copy
	out := make([]port.TakeReply, len(in))
	for i, a := range answers {
		out[i] = port.TakeReply{Granted: a.Granted, Remaining: a.Remaining, Band: a.Band, Foreign: foreign}
		switch {
		case a.RetryMicro == bucket.Never:
			out[i].TooHigh = true
		case asks[i].HasPlace(a.Granted, a.RetryMicro):
			out[i].Wait, out[i].DueMicro, out[i].StepMicro = micros(a.RetryMicro), atMicro+a.RetryMicro, a.StepMicro
		default:
			out[i].RetryAfter = micros(a.RetryMicro)
		}
	}
	return b, out
}

func (b bucketEntity) equal(other entity) bool {
	one, two := b.State, other.(bucketEntity).State
	if !reflect.DeepEqual(one.Leases, two.Leases) || !reflect.DeepEqual(one.Returners, two.Returners) {
		return false
	}
	one.Leases, two.Leases, one.Returners, two.Returners = nil, nil, nil, nil
	return one == two
}

func (b bucketEntity) String() string { return fmt.Sprintf("%+v, lent %+v", b.State, b.Leases) }

// A breakerEntity is a breaker.
type breakerEntity struct{ *breaker.Fleet }

func (b breakerEntity) do(atMicro int64, asked any) (entity, any) {
	after := b.Clone()
	switch in := asked.(type) {
	case port.Report:
		v, _ := after.Report(atMicro, in.Rules, in.Evidence)
		return breakerEntity{after}, view(v)
	case port.ProbeRequest:
		a, _ := after.Probe(atMicro, in.Rules, in.ProbeAsk)
		return breakerEntity{after}, port.ProbeReply{Granted: a.Granted, For: micros(a.ForMicro), View: view(a.View)}
	default:
		panic("no question to a breaker")
	}
}

func (b breakerEntity) equal(other entity) bool {
	return reflect.DeepEqual(b.Fleet, other.(breakerEntity).Fleet)
}

func (b breakerEntity) String() string { return fmt.Sprintf("%+v", *b.Fleet) }

func view(v breaker.View) port.View {
	if v.Ahead {
		return port.View{Err: port.ErrAhead}
	}
	return port.View{Epoch: v.Epoch, State: v.State, For: micros(v.ForMicro), Fresh: v.Fresh, Foreign: v.Foreign}
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// same reports whether two answers are equal in every number.
func same(a, b any) bool {
	if x, ok := a.([]port.TakeReply); ok {
		y, ok := b.([]port.TakeReply)
		return ok && slices.Equal(x, y)
	}
	return a == b
}
