package storetest

import (
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// tripped is how most stories begin: two sick replicas open the fleet for 30 s.
func tripped() []breakerStep {
	return []breakerStep{
		{0, sick("a"), fresh(0)},
		{0, sick("b"), open(us, 30*time.Second)},
	}
}

// probing goes on to half-open, with one lease out, a's of token 1, for 10 s.
func probing() []breakerStep {
	return then(tripped(), []breakerStep{
		{30 * time.Second, asks("a", 1), leased(10*time.Second, 30*time.Second, 10*time.Second)},
	})
}

// voteStories are when a fleet opens, and when not: rules B1 and B2.
func voteStories() []breakerStory {
	second := time.Second
	any1 := domain.CircuitBreaker{Sharing: domain.ShareAny}
	return []breakerStory{
		{"a fresh breaker is closed", "its first report makes it (case 1)", domain.CircuitBreaker{}, []breakerStep{
			{0, reads(), nothing()},
			{0, well("a"), fresh(0)},
			{0, reads(), fresh(0)},
		}},
		{"one sick replica does not open the fleet", "however often it says so (case 57)", domain.CircuitBreaker{}, []breakerStep{
			{0, sick("a"), fresh(0)},
			{second, sick("a"), fresh(0)},
			{second, sick("a"), fresh(0)},
		}},
		{"two of two open it", "each counted once, wherever it asks (case 48)", domain.CircuitBreaker{}, then(tripped(), []breakerStep{
			{0, reads(), open(us, 30*second)},
			{10 * second, sick("a"), open(us, 20*second)},
		})},
		{"exactly half opens", "a quorum that is reached counts, without rounding", domain.CircuitBreaker{}, []breakerStep{
			{0, well("c"), fresh(0)},
			{0, well("d"), fresh(0)},
			{0, sick("a"), fresh(0)},
			{0, sick("b"), open(us, 30*second)},
		}},
		{"a thousandth below half does not", "and it opens as soon as that weight leaves", domain.CircuitBreaker{}, []breakerStep{
			{0, well("c"), fresh(0)},
			{0, well("d"), fresh(0)},
			{0, thinks("e", 1, false), fresh(0)},
			{0, sick("a"), fresh(0)},
			{0, sick("b"), fresh(0)},
			{0, leaves("e"), open(us, 30*second)},
		}},
		{"a quorum of nine tenths, reached", "2.000 of 2.222", domain.CircuitBreaker{Quorum: 0.9}, []breakerStep{
			{0, thinks("c", 222, false), fresh(0)},
			{0, sick("a"), fresh(0)},
			{0, sick("b"), open(us, 30*second)},
		}},
		{"a quorum of nine tenths, missed", "2.000 of 2.223", domain.CircuitBreaker{Quorum: 0.9}, []breakerStep{
			{0, thinks("c", 223, false), fresh(0)},
			{0, sick("a"), fresh(0)},
			{0, sick("b"), fresh(0)},
		}},
		{"a quorum of two thirds", "two of three are two thirds, which no decimal fraction is", domain.CircuitBreaker{Quorum: 2.0 / 3}, []breakerStep{
			{0, well("c"), fresh(0)},
			{0, sick("a"), fresh(0)},
			{0, sick("b"), open(us, 30*second)},
		}},
		{"three must be bad where three are wanted", "by whole opinions", domain.CircuitBreaker{MinReplicas: 3}, []breakerStep{
			{0, sick("a"), fresh(0)},
			{0, sick("b"), fresh(0)},
			{0, thinks("c", 999, true), fresh(0)},
			{0, sick("c"), open(us, 30*second)},
		}},
		{"many who saw little make up for it", "a replica weighs by the calls it has seen", domain.CircuitBreaker{MinReplicas: 3}, []breakerStep{
			{0, thinks("a", 750, true), fresh(0)},
			{0, thinks("b", 750, true), fresh(0)},
			{0, thinks("c", 750, true), fresh(0)},
			{0, thinks("d", 750, true), open(us, 30*second)},
		}},
		{"nobody has more than one whole opinion", "nor less than none, whatever it says", domain.CircuitBreaker{}, []breakerStep{
			{0, thinks("a", 5000, true), fresh(0)},
			{0, thinks("b", 1, true), fresh(0)},
			{0, thinks("c", -1000, false), fresh(0)},
			{0, thinks("d", 998, true).lasting(-second), fresh(0)},
			{0, thinks("e", 998, true), fresh(0)},
			{0, thinks("b", 2, true), open(us, 30*second)},
		}},
		{"one is enough where any may open", "when its own layer tripped, not when it only saw something", any1, []breakerStep{
			{0, well("b"), fresh(0)},
			{0, well("c"), fresh(0)},
			{0, thinks("a", 999, true), fresh(0)},
			{0, sick("a"), open(us, 30*second)},
		}},
		{"the first report may open", "a breaker need not be there before", any1, []breakerStep{
			{0, sick("a"), open(us, 30*second)},
		}},
		{"an opinion counts until its evidence is old", "a µs before, it does", domain.CircuitBreaker{}, []breakerStep{
			{0, sick("a").lasting(second), fresh(0)},
			{second - us, sick("b"), open(second-us, 30*second)},
		}},
		{"an opinion ends with its evidence", "a glitch must not be remembered", domain.CircuitBreaker{}, []breakerStep{
			{0, sick("a").lasting(second), fresh(0)},
			{second, sick("b"), fresh(0)},
			{second, sick("b"), fresh(0)},
		}},
		{"old good opinions do not outvote for longer than a window", "they are swept once in each", domain.CircuitBreaker{Quorum: 0.9}, []breakerStep{
			{0, well("c").lasting(second), fresh(0)},
			{5 * second, sick("a"), fresh(0)},
			{0, sick("b"), fresh(0)},
			{5 * second, thinks("d", 0, false), open(10*second, 30*second)},
		}},
		{"a report that comes twice counts once", "and one that comes late counts for nothing", domain.CircuitBreaker{}, []breakerStep{
			{0, well("a").numbered(2), fresh(0)},
			{0, well("a").numbered(2), fresh(0)},
			{0, sick("a").numbered(2), fresh(0)},
			{0, sick("a").numbered(1), fresh(0)},
			{0, sick("b"), fresh(0)},
			{0, sick("a").numbered(3), open(us, 30*second)},
		}},
		{"a report replaces the one before", "it is the whole of what a replica saw", domain.CircuitBreaker{}, []breakerStep{
			{0, sick("a"), fresh(0)},
			{0, well("a"), fresh(0)},
			{0, sick("b"), fresh(0)},
		}},
		{"leaving withdraws", "a replica that ends takes its opinion with it", domain.CircuitBreaker{}, []breakerStep{
			{0, sick("a"), fresh(0)},
			{0, leaves("a"), fresh(0)},
			{0, sick("b"), fresh(0)},
			{0, leaves("nobody"), fresh(0)},
		}},
	}
}

// epochStories are what an epoch voids, and what is made of state that was
// lost: rule B3.
func epochStories() []breakerStory {
	second, day := time.Second, 24*time.Hour
	plain := domain.CircuitBreaker{}
	return []breakerStory{
		{"looking writes nothing", "constructing or reading is no transition (case 54)", plain, []breakerStep{
			{0, reads(), nothing()},
			{0, asks("a", 1).knowingNothing(), nothing()},
			{0, settles("a", 1, domain.Failure).knowingNothing(), nothing()},
			{0, leaves("a").knowingNothing(), nothing()},
			{0, reads(), nothing()},
		}},
		{"one who knows nothing is told, and not counted", "its evidence may be of an epoch long gone", plain, []breakerStep{
			{0, sick("a"), fresh(0)},
			{0, sick("b").knowingNothing(), fresh(0)},
			{0, sick("b"), open(us, 30*second)},
		}},
		{"late reports of a lost closed epoch are void", "as are those of any earlier one (cases 16, 52)", plain, then(probing(), []breakerStep{
			{0, sick("c").knowing(0), halfOpen(30*second, 10*second)},
			{second, settles("a", 1, domain.Success), halfOpen(30*second, 0)},
			{0, asks("b", 2), leased(10*second, 30*second, 10*second)},
			{0, settles("b", 2, domain.Success), closed(31 * second)},
			{0, sick("a").knowing(0), closed(31 * second)},
			{0, sick("b").knowing(us), closed(31 * second)},
			{0, sick("c"), closed(31 * second)}, // alone: a's and b's were void
		})},
		{"a lost breaker begins afresh, above all that was known", "a flush must not bring an epoch back (case 52)", plain, []breakerStep{
			{0, sick("a").knowing(5 * second), fresh(5*second + us)},
			{0, sick("b"), fresh(5*second + us)}, // a's was of the lost epoch
			{0, sick("a"), open(5*second+2*us, 30*second)},
		}},
		{"state older than what is known was lost", "a failover to a replica that lagged", plain, then(tripped(), []breakerStep{
			{second, asks("a", 1).knowing(9 * second), fresh(9*second + us)},
			{0, sick("a"), fresh(9*second + us)},
		})},
		{"a day ahead may be known", "clocks of servers differ", plain, []breakerStep{
			{0, well("a").knowing(day), fresh(day + us)},
		}},
		{"more than a day ahead is refused", "one replica's mistake must not reset the fleet", plain, then(tripped(), []breakerStep{
			{0, well("a").knowing(day + us), ahead()},
			{0, asks("a", 1).knowing(day + us), ahead()},
			{0, settles("a", 1, domain.Success).knowing(day + us), ahead()},
			{0, reads(), open(us, 30*second)},
		})},
		{
			"a clock that steps back does not close an open breaker", "it stays open for its whole length again, and no longer (case 51)", plain,
			then(tripped(), []breakerStep{
				{20 * second, reads(), open(us, 10*second)},
				{-time.Hour, reads(), open(us, 30*second)},
				{0, asks("a", 1), open(us, 30*second)},
				{30*second - us, asks("a", 1), open(us, us)},
				{us, asks("a", 1), leased(10*second, 2*us, 10*second)},
			}),
		},
		{
			"a clock that steps back does not keep a lease for ever", "it too lasts its whole length again", plain,
			then(probing(), []breakerStep{
				{0, asks("b", 2), halfOpen(30*second, 10*second)},
				{-time.Hour, asks("b", 2), halfOpen(30*second, 10*second)},
				{10*second - us, asks("b", 2), halfOpen(30*second, us)},
				{us, asks("b", 2), leased(10*second, 30*second, 10*second)},
			}),
		},
		{"a clock that steps back keeps votes", "they are not of the future", plain, []breakerStep{
			{0, sick("a"), fresh(0)},
			{-time.Hour, sick("b"), open(us, 30*second)},
		}},
	}
}

// probeStories are how leases are handed out, kept and lost: rule B5.
func probeStories() []breakerStory {
	second := time.Second
	plain := domain.CircuitBreaker{}
	return []breakerStory{
		{"half-open begins when the time is over", "not a µs before (case 9)", plain, then(tripped(), []breakerStep{
			{30*second - us, asks("a", 1), open(us, us)},
			{us, asks("a", 1), leased(10*second, 30*second, 10*second)},
		})},
		{"looking does not begin half-open", "an open breaker whose time is over is open for no longer", plain, then(tripped(), []breakerStep{
			{time.Minute, reads(), open(us, 0)},
			{0, sick("a"), open(us, 0)},
			{0, settles("a", 1, domain.Success), open(us, 0)},
			{0, asks("a", 1), leased(10*second, time.Minute, 10*second)},
		})},
		{"as many leases as probes", "the next is refused until one may be free (cases 10, 26)", domain.CircuitBreaker{Probes: 3}, then(tripped(), []breakerStep{
			{30 * second, asks("a", 1), leased(10*second, 30*second, 0)},
			{second, asks("b", 2), leased(10*second, 30*second, 0)},
			{second, asks("a", 3), leased(10*second, 30*second, 8*second)},
			{second, asks("c", 4), halfOpen(30*second, 7*second)},
			{0, asks("d", 5), halfOpen(30*second, 7*second)},
			{0, settles("b", 2, domain.Ignored), halfOpen(30*second, 0)},
			{0, asks("d", 5), leased(10*second, 30*second, 7*second)},
		})},
		{"the same token is the same lease", "asking again after a lost reply takes no second one", plain, then(probing(), []breakerStep{
			{2 * second, asks("a", 1), leased(8*second, 30*second, 8*second)},
			{0, asks("a", 2), halfOpen(30*second, 8*second)},
		})},
		{"a lease that is over counts as failed, and is free", "its late result is void (cases 19, 26)", plain, then(probing(), []breakerStep{
			{0, asks("b", 2), halfOpen(30*second, 10*second)},
			{10*second - us, asks("b", 2), halfOpen(30*second, us)},
			{us, asks("b", 2), leased(10*second, 30*second, 10*second)},
			{0, settles("a", 1, domain.Success), halfOpen(30*second, 10*second)},
			{0, settles("b", 2, domain.Failure), open(40*second, 60*second)}, // two of two: a's hung, b's failed
		})},
		{"a result in time may come a µs before the end", "and counts", plain, then(probing(), []breakerStep{
			{10*second - us, settles("a", 1, domain.Success), halfOpen(30*second, 0)},
			{0, asks("a", 2), leased(10*second, 30*second, 10*second)},
			{0, settles("a", 2, domain.Success), closed(40*second - us)},
		})},
		{"a result counts once", "sending it again is harmless", domain.CircuitBreaker{SuccessThreshold: 3}, then(probing(), []breakerStep{
			{0, settles("a", 1, domain.Success), halfOpen(30*second, 0)},
			{0, settles("a", 1, domain.Success), halfOpen(30*second, 0)},
			{0, settles("a", 1, domain.Success), halfOpen(30*second, 0)},
			{8 * second, asks("b", 2), leased(10*second, 30*second, 10*second)},
			{0, settles("b", 2, domain.Success), halfOpen(30*second, 0)},
		})},
		{"what was cancelled or its own trouble gives the slot back", "and decides nothing (case 14)", plain, then(probing(), []breakerStep{
			{0, settles("a", 1, domain.Ignored), halfOpen(30*second, 0)},
			{0, asks("a", 2), leased(10*second, 30*second, 10*second)},
			{0, settles("a", 2, domain.LocalFailure), halfOpen(30*second, 0)},
			{0, asks("a", 3), leased(10*second, 30*second, 10*second)},
			{9 * second, settles("a", 3, domain.LocalFailure), halfOpen(30*second, 0)},
			{0, asks("a", 4), leased(10*second, 30*second, 10*second)},
		})},
		{"whose probe failed gets no other in this epoch", "it is told to come back when fewer replicas may decide", plain, then(probing(), []breakerStep{
			{0, settles("a", 1, domain.Failure), halfOpen(30*second, 0)},
			{0, asks("a", 2), halfOpen(30*second, 7500*time.Millisecond)},
			{0, asks("b", 3), leased(10*second, 30*second, 10*second)},
		})},
		{"whose further success would decide nothing leaves the lease to others", "who may come a moment later than it each time", plain, then(probing(), []breakerStep{
			{0, asks("b", 9), halfOpen(30*second, 10*second)},
			{0, settles("a", 1, domain.Success), halfOpen(30*second, 0)},
			{0, asks("a", 2), leased(10*second, 30*second, 10*second)}, // a second success is needed still
			{0, asks("b", 9), halfOpen(30*second, 10*second)},
			{0, settles("a", 2, domain.Success), halfOpen(30*second, 0)},
			{0, asks("a", 3), halfOpen(30*second, 7500*time.Millisecond)},
			{0, asks("b", 9), leased(10*second, 30*second, 10*second)},
			{0, asks("a", 3), halfOpen(30*second, 10*second)},
			{0, settles("b", 9, domain.Success), closed(30*second + us)},
		})},
		{"a result of an earlier half-open is void", "also under a token that is out again (case 16)", plain, then(probing(), []breakerStep{
			{0, asks("b", 2), halfOpen(30*second, 10*second)},
			{10 * second, asks("b", 2), leased(10*second, 30*second, 10*second)},
			{0, settles("b", 2, domain.Failure), open(40*second, 60*second)},
			{60 * second, asks("c", 2), leased(10*second, 100*second, 10*second)},
			{0, settles("a", 1, domain.Failure).knowing(30 * second), halfOpen(100*second, 10*second)},
			{0, settles("b", 2, domain.Failure).knowing(30 * second), halfOpen(100*second, 10*second)},
			{0, settles("c", 2, domain.Success), halfOpen(100*second, 0)},
		})},
	}
}

// recoveryStories are how half-open ends: rule B4.
func recoveryStories() []breakerStory {
	second := time.Second
	wait := 7500 * time.Millisecond // min(ProbeLease, RecoveryTimeout/4)
	plain := domain.CircuitBreaker{}
	return []breakerStory{
		{"two replicas that saw success close it", "a success fewer does not (case 11)", plain, then(probing(), []breakerStep{
			{0, settles("a", 1, domain.Success), halfOpen(30*second, 0)},
			{0, asks("b", 2), leased(10*second, 30*second, 10*second)},
			{0, settles("b", 2, domain.Success), closed(30*second + us)},
			{0, sick("a"), closed(30*second + us)},
			{0, sick("b"), open(30*second+2*us, 30*second)}, // with clean counts, and no growth
		})},
		{"one replica alone closes it after a while", "when no other asks: it may be the only one left", plain, then(probing(), []breakerStep{
			{0, settles("a", 1, domain.Success), halfOpen(30*second, 0)},
			{0, asks("a", 2), leased(10*second, 30*second, 10*second)},
			{0, settles("a", 2, domain.Success), halfOpen(30*second, 0)}, // twice, but of one replica
			{wait - us, asks("a", 3), halfOpen(30*second, us)},
			{us, asks("a", 3), closed(30*second + wait)},
		})},
		{"not while another asks too", "then both are waited for", plain, then(probing(), []breakerStep{
			{0, asks("b", 9), halfOpen(30*second, 10*second)},
			{0, settles("a", 1, domain.Success), halfOpen(30*second, 0)},
			{0, asks("a", 2), leased(10*second, 30*second, 10*second)},
			{wait, settles("a", 2, domain.Success), halfOpen(30*second, 0)},
			{0, asks("b", 9), leased(10*second, 30*second, 10*second)},
			{0, settles("b", 9, domain.Failure), closed(30*second + wait)}, // one each: success decides
		})},
		{"the dependency asked to be left alone", "for longer than the recovery time: no probe goes out before (case 26)", plain, []breakerStep{
			{0, sick("a").asking(40 * second), fresh(0)},
			{9 * second, sick("b"), open(9*second, 31*second)},
			{0, sick("c").asking(time.Minute), open(9*second, 31*second)}, // too late
		}},
		{"it asked two replicas", "the longer wait counts, from when it was asked", plain, []breakerStep{
			{0, sick("a").asking(70 * second), fresh(0)},
			{10*second - us, sick("a").asking(time.Second), fresh(0)},
			{0, sick("b").asking(50 * second), open(10*second-us, 60*second+us)},
			{time.Minute, asks("a", 1), open(10*second-us, us)},
			{us, asks("a", 1), leased(10*second, 70*second, 10*second)},
		}},
		{"it asked for more than can be", "the longest recovery time bounds that", plain, []breakerStep{
			{0, sick("a").asking(30 * 24 * time.Hour), fresh(0)},
			{0, sick("b"), open(us, 5*time.Minute)},
		}},
		{"it asked one that is well", "or for less than nothing: that says nothing", plain, []breakerStep{
			{0, well("c").asking(time.Minute), fresh(0)},
			{0, sick("a").asking(-time.Minute), fresh(0)},
			{0, sick("b"), open(us, 30*second)},
		}},
		{"a probe is asked to leave it alone", "it reopens for that long at least, and closing forgets it", plain, then(probing(), []breakerStep{
			{0, settles("a", 1, domain.Failure).asking(100 * second), halfOpen(30*second, 0)},
			{0, asks("b", 2), leased(10*second, 30*second, 10*second)},
			{second, settles("b", 2, domain.Failure), open(31*second, 99*second)},
			{99 * second, asks("a", 3), leased(10*second, 130*second, 10*second)},
			{0, settles("a", 3, domain.Success).asking(time.Hour), halfOpen(130*second, 0)},
			{0, asks("b", 4), leased(10*second, 130*second, 10*second)},
			{0, settles("b", 4, domain.Success), closed(130*second + us)},
			{0, sick("a"), closed(130*second + us)},
			{0, sick("b"), open(130*second+2*us, 30*second)},
		})},
		{"it closes before the dependency's time is over", "which is forgotten then", plain, then(probing(), []breakerStep{
			{0, settles("a", 1, domain.Failure).asking(200 * second), halfOpen(30*second, 0)},
			{0, asks("b", 2), leased(10*second, 30*second, 10*second)},
			{0, settles("b", 2, domain.Success), halfOpen(30*second, 0)},
			{0, asks("b", 3), leased(10*second, 30*second, 10*second)},
			{0, settles("b", 3, domain.Success), closed(30*second + us)},
			{0, sick("a"), closed(30*second + us)},
			{0, sick("b"), open(30*second+2*us, 30*second)},
		})},
		{"two replicas that saw failure reopen it", "for twice as long", plain, then(probing(), []breakerStep{
			{0, settles("a", 1, domain.Failure), halfOpen(30*second, 0)},
			{0, asks("b", 2), leased(10*second, 30*second, 10*second)},
			{0, settles("b", 2, domain.Failure), open(30*second+us, 60*second)},
		})},
		{"one replica alone reopens it after a while", "when no other asks (case 12)", plain, then(probing(), []breakerStep{
			{0, settles("a", 1, domain.Failure), halfOpen(30*second, 0)},
			{0, asks("a", 2), halfOpen(30*second, wait)},
			{wait - us, asks("a", 2), halfOpen(30*second, us)},
			{us, asks("a", 2), open(30*second+wait, 60*second)},
		})},
		{"who comes as a lease ends counts as one who asks", "so a killed replica does not reopen it for all (case 26)", plain, then(probing(), []breakerStep{
			{10 * second, asks("b", 2), leased(10*second, 30*second, 10*second)},
			{0, settles("b", 2, domain.Success), halfOpen(30*second, 0)},
			{0, asks("b", 3), leased(10*second, 30*second, 10*second)},
			{0, settles("b", 3, domain.Success), closed(40 * second)},
		})},
		{"one failure is outvoted", "by as many replicas that saw success", plain, then(probing(), []breakerStep{
			{0, settles("a", 1, domain.Failure), halfOpen(30*second, 0)},
			{0, asks("b", 2), leased(10*second, 30*second, 10*second)},
			{0, settles("b", 2, domain.Success), halfOpen(30*second, 0)},
			{0, asks("b", 3), leased(10*second, 30*second, 10*second)},
			{0, settles("b", 3, domain.Success), closed(30*second + us)},
		})},
		{"one success is outvoted", "by more replicas that saw failure", domain.CircuitBreaker{MinReplicas: 3}, []breakerStep{
			{0, sick("a"), fresh(0)},
			{0, sick("b"), fresh(0)},
			{0, sick("c"), open(us, 30*second)},
			{30 * second, asks("a", 1), leased(10*second, 30*second, 10*second)},
			{0, settles("a", 1, domain.Failure), halfOpen(30*second, 0)},
			{0, asks("b", 2), leased(10*second, 30*second, 10*second)},
			{0, settles("b", 2, domain.Failure), halfOpen(30*second, 0)},
			{0, asks("c", 3), leased(10*second, 30*second, 10*second)},
			{0, settles("c", 3, domain.Success), halfOpen(30*second, 0)},
			{0, asks("c", 4), leased(10*second, 30*second, 10*second)},
			{0, settles("c", 4, domain.Success), halfOpen(30*second, 0)}, // two successes, but of one against two
			{0, asks("d", 5), leased(10*second, 30*second, 10*second)},
			{0, settles("d", 5, domain.Failure), open(30*second+us, 60*second)},
		}},
		{"a success outweighs a failure of the same replica", "in whatever order they come", domain.CircuitBreaker{Probes: 2}, then(tripped(), []breakerStep{
			{30 * second, asks("a", 1), leased(10*second, 30*second, 0)},
			{0, asks("a", 2), leased(10*second, 30*second, 10*second)},
			{0, settles("a", 1, domain.Failure), halfOpen(30*second, 0)},
			{0, settles("a", 2, domain.Success), halfOpen(30*second, 0)},
			{0, asks("b", 3), leased(10*second, 30*second, 0)},
			{0, settles("b", 3, domain.Failure), halfOpen(30*second, 0)}, // else it were two of two
			{0, asks("a", 4), leased(10*second, 30*second, 0)},
			{0, settles("a", 4, domain.Success), closed(30*second + us)},
		})},
		{"half-open does not last for ever", "when its probes do not decide and none is out", plain, then(probing(), []breakerStep{
			{0, settles("a", 1, domain.Success), halfOpen(30*second, 0)},
			{0, asks("b", 2), leased(10*second, 30*second, 10*second)},
			{0, settles("b", 2, domain.Failure), halfOpen(30*second, 0)},
			{30 * second, asks("b", 3), halfOpen(30*second, wait)},
			{us, asks("b", 3), open(60*second+us, 60*second)},
		})},
		{"half-open waits for a lease that is out", "its result may decide", domain.CircuitBreaker{MaxHalfOpen: 5 * second}, then(probing(), []breakerStep{
			{0, settles("a", 1, domain.Success), halfOpen(30*second, 0)},
			{0, asks("b", 2), leased(10*second, 30*second, 10*second)},
			{6 * second, asks("a", 3), halfOpen(30*second, 4*second)},
			{0, settles("b", 2, domain.Success), closed(36 * second)},
		})},
		{"a short half-open still ends in closed", "the wait for others is not longer than it", domain.CircuitBreaker{MaxHalfOpen: second}, then(probing(), []breakerStep{
			{0, settles("a", 1, domain.Success), halfOpen(30*second, 0)},
			{0, asks("a", 2), leased(10*second, 30*second, 10*second)},
			{0, settles("a", 2, domain.Success), halfOpen(30*second, 0)},
			{second + us, asks("a", 3), closed(31*second + us)},
		})},
		{"half-open without any result goes on", "there is nothing to decide by", plain, then(probing(), []breakerStep{
			{0, settles("a", 1, domain.Ignored), halfOpen(30*second, 0)},
			{time.Hour, asks("a", 2), leased(10*second, 30*second, 10*second)},
		})},
		{"it stays open longer each time, up to the most, and not after closing", "case 25", domain.CircuitBreaker{}, growing()},
	}
}

// growing reopens a breaker again and again: 30 s, 60, 120, 240, 300, 300; then
// closes it and trips it.
func growing() []breakerStep {
	const wait = 7500 * time.Millisecond
	steps, at, lasts := tripped(), time.Duration(0), 30*time.Second
	for token := range uint64(5) {
		at += lasts
		steps = append(steps,
			breakerStep{lasts, asks("a", token+1), leased(10*time.Second, at, 10*time.Second)},
			breakerStep{0, settles("a", token+1, domain.Failure), halfOpen(at, 0)},
		)
		lasts = min(2*lasts, 5*time.Minute)
		at += wait
		steps = append(steps, breakerStep{wait, asks("a", 99), open(at, lasts)})
	}
	at += lasts
	return append(steps,
		breakerStep{lasts, asks("a", 10), leased(10*time.Second, at, 10*time.Second)},
		breakerStep{0, settles("a", 10, domain.Success), halfOpen(at, 0)},
		breakerStep{0, asks("b", 11), leased(10*time.Second, at, 10*time.Second)},
		breakerStep{0, settles("b", 11, domain.Success), closed(at + us)},
		breakerStep{0, sick("a"), closed(at + us)},
		breakerStep{0, sick("b"), open(at+2*us, 30*time.Second)},
	)
}

// claimStories are whose numbers decide: rule L10 (case 55).
func claimStories() []breakerStory {
	second := time.Second
	older := domain.CircuitBreaker{Version: 1, MinReplicas: 2}
	newer := domain.CircuitBreaker{Version: 2, MinReplicas: 3}
	strange := domain.CircuitBreaker{Version: 2, MinReplicas: 2}
	return []breakerStory{
		{"a newer version decides at once", "for the older replicas too", older, []breakerStep{
			{0, sick("a"), fresh(0)},
			{0, sick("b").under(newer), fresh(0)}, // two would do for the older one
			{0, sick("a"), foreignTo(fresh(0))},
			{0, sick("c"), foreignTo(open(us, 30*second))},
		}},
		{"at equal versions the larger numbers win", "whoever comes first, so that a fleet agrees", strange, []breakerStep{
			{0, sick("a"), fresh(0)},
			{0, sick("b").under(newer), fresh(0)},
			{0, sick("b"), foreignTo(fresh(0))},
			{0, sick("c").under(newer), open(us, 30*second)},
		}},
		{"a claim that nobody brings falls after a minute", "a rollback; and the better one comes back at once", older, []breakerStep{
			{0, sick("a").under(newer).lasting(time.Hour), fresh(0)},
			{0, sick("b").lasting(time.Hour), foreignTo(fresh(0))},
			{60*second - us, sick("b").lasting(time.Hour), foreignTo(fresh(0))},
			{us, sick("b").lasting(time.Hour), open(60*second, 30*second)},
			{0, sick("b").under(newer), open(60*second, 30*second)},
			{0, sick("b"), foreignTo(open(60*second, 30*second))},
		}},
		{"a claim that is brought again stands", "the minute counts anew", older, []breakerStep{
			{0, well("a").under(newer), fresh(0)},
			{0, well("b"), foreignTo(fresh(0))},
			{50 * second, well("a").under(newer), fresh(0)},
			{10 * second, well("b"), foreignTo(fresh(0))},
			{60*second - us, well("b"), foreignTo(fresh(0))},
			{us, well("b"), fresh(0)},
		}},
		{"looking brings a claim too", "a probe is asked for under its asker's numbers", older, then(tripped(), []breakerStep{
			{30 * second, asks("a", 1).under(newer), leased(10*second, 30*second, 10*second)},
			{0, asks("b", 2), foreignTo(halfOpen(30*second, 10*second))},
			{time.Second, reads(), halfOpen(30*second, 9*second)},
		})},
		{"lost state takes the numbers of who finds out", "there are no others", older, []breakerStep{
			{0, well("a").under(newer), fresh(0)},
			{0, well("b").knowing(second), fresh(second + us)},
		}},
	}
}

// ramped is a breaker whose admission rises for 30 s.
func ramped() domain.CircuitBreaker {
	return domain.CircuitBreaker{Ramp: 30 * time.Second, RecoveryTimeout: 4 * time.Second}
}

// recovers goes on from open for 4 s, to half-open at that time and just before its end:
// b's lease of that token is out.
func recovers(at time.Duration, a, b uint64) []breakerStep {
	return []breakerStep{
		{4 * time.Second, asks("a", a), leased(10*time.Second, at, 10*time.Second)},
		{0, asks("b", b), halfOpen(at, 10*time.Second)},
		{0, settles("a", a, domain.Success), halfOpen(at, 0)},
		{0, asks("b", b), leased(10*time.Second, at, 10*time.Second)},
	}
}

// rampStories are what a store says for the ramp after closing: rule B10.
func rampStories() []breakerStory {
	second := time.Second
	p := ramped()
	return []breakerStory{
		{"a ramp is of the calls of all replicas", "a second, when it opened, whoever was well", p, then([]breakerStep{
			{0, well("c").calling(700), fresh(0)},
			{0, sick("a").calling(600), fresh(0)},
			{0, sick("b").calling(399), open(us, 4*second)},
		}, recovers(4*second, 1, 2), []breakerStep{
			{0, settles("b", 2, domain.Success), ramping(4*second+us, 30*second, 169)}, // of 1,699 in ten seconds
			{10 * second, reads(), ramping(4*second+us, 20*second, 169)},
			{0, well("a").calling(5), ramping(4*second+us, 20*second, 169)},
			{0, well("a").calling(6), ramping(4*second+us, 20*second, 169)},
			{20*second - us, reads(), ramping(4*second+us, us, 169)},
			{us, reads(), closed(4*second + us)},
			{0, well("a").calling(5), closed(4*second + us)},
		})},
		{"what opens in a ramp is of as many as before", "and after it, of as many as are", p, then([]breakerStep{
			{0, sick("a").calling(600), fresh(0)},
			{0, sick("b").calling(400), open(us, 4*second)},
		}, recovers(4*second, 1, 2), []breakerStep{
			{0, settles("b", 2, domain.Success), ramping(4*second+us, 30*second, 100)},
			{second, sick("a").calling(30), ramping(4*second+us, 29*second, 100)},
			{0, sick("b").calling(30), open(5*second, 4*second)},
		}, recovers(9*second, 3, 4), []breakerStep{
			{0, settles("b", 4, domain.Success), ramping(9*second+us, 30*second, 100)},
			{30 * second, sick("a").calling(30), closed(9*second + us)},
			{0, sick("b").calling(30), open(39*second, 4*second)},
		}, recovers(43*second, 5, 6), []breakerStep{
			{0, settles("b", 6, domain.Success), ramping(43*second+us, 30*second, 6)},
		})},
		{"nobody called, or more than can be", "it is of one call a second, and of what can be reckoned", p, then([]breakerStep{
			{0, sick("a").calling(-5), fresh(0)},
			{0, sick("b"), open(us, 4*second)},
		}, recovers(4*second, 1, 2), []breakerStep{
			{0, settles("b", 2, domain.Success), ramping(4*second+us, 30*second, 1)},
			{30 * second, sick("a").calling(1 << 50), closed(4*second + us)},
			{0, sick("b").calling(1), open(34*second, 4*second)},
		}, recovers(38*second, 3, 4), []breakerStep{
			{0, settles("b", 4, domain.Success), ramping(38*second+us, 30*second, (1<<31+1)/10)},
		})},
	}
}
