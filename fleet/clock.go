package fleet

import (
	crand "crypto/rand"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"time"
	"unicode"
)

// A clock reads the time since it was made, by the monotonic clock: this is the
// one place of the package where time is read, and reading it this way takes
// half as long as the wall clock.
type clock struct{ base time.Time }

func newClock() clock {
	return clock{time.Now()} //nolint:forbidigo // the one place where the clock starts
}

func (c clock) now() time.Duration {
	return time.Since(c.base) //nolint:forbidigo // the one place where the clock is read
}

// time is now as a deadline needs it.
func (c clock) time() time.Time { return c.base.Add(c.now()) }

// newIncarnation is random for each start of a process: a name that comes back,
// such as a pod's, could be taken for the one before.
func newIncarnation() string {
	var id [8]byte
	_, _ = crand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// longestID is how much of a replica's ID is in its incarnation.
const longestID = 40

// incarnationOf names one start of a process of that ID, so that operators see who it
// is: a name by domain.ValidateName, unlike any other.
func incarnationOf(id string) string {
	plain := strings.Map(func(r rune) rune {
		if r < 128 && (r == '.' || r == '_' || r == '-' || unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return r
		}
		return '-'
	}, id)
	if plain == "" {
		return newIncarnation()
	}
	return plain[:min(len(plain), longestID)] + "-" + newIncarnation()
}

// chance is where a replica's random numbers come from, unless a test replays
// them.
type chance struct{}

func (chance) Uint64() uint64 { return rand.Uint64() }

// jitter is a random part of d.
func (r *Replica) jitter(d time.Duration) time.Duration {
	return time.Duration(r.random.Float64() * float64(d))
}
