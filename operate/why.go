package operate

import (
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
)

// Why says in one sentence why a breaker is as it is, and what it takes to change.
func Why(s breaker.Snapshot) string {
	if o := s.View.Order; o.Force != domain.ForceNone && o.ForMicro > 0 {
		return fmt.Sprintf("%s forced it %s for another %s: %s", o.By, o.Force, micros(o.ForMicro), o.Reason)
	}
	switch {
	case s.View.Epoch == 0:
		return "no replica has reported yet"
	case s.View.State == domain.StateOpen:
		return whyOpen(s)
	case s.View.State == domain.StateHalfOpen:
		return whyHalfOpen(s)
	default:
		return whyClosed(s)
	}
}

func whyOpen(s breaker.Snapshot) string {
	times := "enough replicas said it is bad"
	if s.Growth > 0 {
		times = fmt.Sprintf("its probes failed, %s in a row", count(s.Growth, "time"))
	}
	if s.View.ForMicro == 0 {
		return times + "; the next call may probe"
	}
	return fmt.Sprintf("%s; a call may probe in %s", times, micros(s.View.ForMicro))
}

func whyHalfOpen(s breaker.Snapshot) string {
	var good, failed int64
	for _, p := range s.Probers {
		if p.Succeeded {
			good++
		}
		if p.Failed {
			failed++
		}
	}
	return fmt.Sprintf("of %s that asked for a probe %d saw a success and %d a failure; it closes after %s",
		count(int64(len(s.Probers)), "replica"), good, failed, count(s.Rules.Successes, "success"))
}

// whyClosed compares what is bad with what would open it.
func whyClosed(s breaker.Snapshot) string {
	needed := max(s.Rules.MinReplicas*1000, (s.Rules.QuorumMille*s.AllWeight+999)/1000)
	why := fmt.Sprintf("%s bad, with a weight of %s; it opens at %d with a weight of %s",
		count(s.Bad, "replica")+is(s.Bad), Weight(s.BadWeight), s.Rules.MinReplicas, Weight(needed))
	if apart := disagree(s); apart > 0 {
		why += "; the own layer of " + count(apart, "replica") + " is open, which counts for nothing here"
	}
	return why
}

// disagree is how many replicas hold back their calls although the fleet counts nothing
// against the dependency by them: since what they saw is too old, or their own trouble.
func disagree(s breaker.Snapshot) (replicas int64) {
	for _, v := range s.Votes {
		if v.Open && !v.Bad {
			replicas++
		}
	}
	return replicas
}

func is(n int64) string {
	if n == 1 {
		return " is"
	}
	return " are"
}

// count is a number of things, in words.
func count(n int64, thing string) string {
	switch {
	case n == 1:
		return "1 " + thing
	case thing == "success":
		return fmt.Sprintf("%d successes", n)
	default:
		return fmt.Sprintf("%d %ss", n, thing)
	}
}

// Weight is a weight in thousandths, for people: "1.500".
func Weight(mille int64) string { return fmt.Sprintf("%d.%03d", mille/1000, mille%1000) }

// Round is d as exactly as people want it: seconds from 10 s on, tenths from 1 s on,
// else milliseconds.
func Round(d time.Duration) time.Duration {
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second)
	case d >= time.Second:
		return d.Round(100 * time.Millisecond)
	default:
		return d.Round(time.Millisecond)
	}
}

func micros(n int64) time.Duration { return Round(time.Duration(n) * time.Microsecond) }
