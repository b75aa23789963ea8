package domain

import (
	"strconv"
	"time"
)

// A Limit is the shape of a token bucket: Tokens are added evenly over each
// Period, and at most Burst of them can be saved up. The zero Limit is invalid.
//
// In any interval t a limit admits at most Burst + Tokens·t/Period.
type Limit struct {
	Tokens int64         // added per Period; must be positive
	Period time.Duration // whole microseconds; must be positive
	Burst  int64         // capacity in tokens; defaults to Tokens
}

// Per is n tokens every d, with a burst of n.
func Per(n int64, d time.Duration) Limit { return Limit{Tokens: n, Period: d} }

// PerSecond is n tokens a second, with a burst of n.
func PerSecond(n int64) Limit { return Per(n, time.Second) }

// PerMinute is n tokens a minute, with a burst of n.
func PerMinute(n int64) Limit { return Per(n, time.Minute) }

// PerHour is n tokens an hour, with a burst of n.
func PerHour(n int64) Limit { return Per(n, time.Hour) }

// WithBurst returns l with room for n tokens.
func (l Limit) WithBurst(n int64) Limit {
	l.Burst = n
	return l
}

// WithDefaults returns l with a Burst of Tokens where it has none.
func (l Limit) WithDefaults() Limit {
	if l.Burst == 0 {
		l.Burst = l.Tokens
	}
	return l
}

// MaxCredits is the largest bucket that can be counted exactly. A bucket holds
// integer credits: with Tokens/Period reduced to lowest terms, one token is
// worth the reduced Period in µs. Burst times that must stay at or below it, so
// that debts and sums too stay below 2⁵³, where a Lua number ends to be exact.
const MaxCredits = 1 << 49

// Validate reports a number that is not positive, a Period that is not whole
// microseconds, and a bucket beyond MaxCredits.
func (l Limit) Validate() error { return l.validate(kindRateLimit, "Limit") }

// validate names the field of the policy that holds l.
func (l Limit) validate(policy, field string) error {
	switch {
	case l.Tokens <= 0:
		return invalid(policy, field+".Tokens", "must be positive")
	case l.Tokens > MaxCredits:
		return invalid(policy, field+".Tokens", "is above 2^49")
	case l.Period <= 0:
		return invalid(policy, field+".Period", "must be positive")
	case l.Period%time.Microsecond != 0:
		return invalid(policy, field+".Period", "must be whole microseconds")
	case l.Burst < 0:
		return invalid(policy, field+".Burst", "is negative")
	}
	_, worth := l.Reduced()
	if l.WithDefaults().Burst > MaxCredits/worth {
		return invalid(policy, field+".Burst", "is too large for this Period: the bucket could not be counted exactly")
	}
	return nil
}

// Reduced gives the credits that one elapsed µs earns and that one token is
// worth: Tokens and Period in µs, in lowest terms. l must be valid.
func (l Limit) Reduced() (earn, worth int64) {
	earn, worth = l.Tokens, l.Period.Microseconds()
	divisor := earn
	for rest := worth; rest != 0; {
		divisor, rest = rest, divisor%rest
	}
	return earn / divisor, worth / divisor
}

// String gives the text form, such as "100/s, burst=20".
func (l Limit) String() string {
	s := strconv.FormatInt(l.Tokens, 10) + "/" + periodText(l.Period)
	if l.Burst != 0 {
		s += ", burst=" + strconv.FormatInt(l.Burst, 10)
	}
	return s
}

func periodText(d time.Duration) string {
	switch d {
	case time.Second:
		return "s"
	case time.Minute:
		return "m"
	case time.Hour:
		return "h"
	default:
		return durationText(d)
	}
}

// An Outage says what a limit does while its store does not answer.
type Outage uint8

// The choices in an outage. The zero value is OutageLocalShare.
const (
	// OutageLocalShare admits this replica's part: the limit divided by the
	// replicas last seen, from a bucket that starts empty.
	OutageLocalShare Outage = iota
	// OutageOpen admits everything. There is no bound.
	OutageOpen
	// OutageClosed admits nothing: calls fail with ErrStoreUnavailable.
	OutageClosed
)

// String returns the choice's name in the text form of policies.
func (o Outage) String() string {
	switch o {
	case OutageLocalShare:
		return "local_share"
	case OutageOpen:
		return "open"
	case OutageClosed:
		return "closed"
	default:
		return "unknown"
	}
}

// RateLimit admits calls while its limit has tokens and refuses the others with a
// [*RateLimitedError]: at once, or those that would wait longer than MaxWait. All replicas whose store is the same share
// the limit of one Name.
type RateLimit struct {
	// Name identifies the limit in the fleet, whatever its numbers: 1 to 64
	// ASCII letters, digits, '.', '_' or '-'. Defaults to the guard's name.
	Name string
	// Limit is required.
	Limit Limit
	// Also are further bands of the same limit: a call needs, and takes, its
	// tokens in all of them, or in none.
	Also Bands
	// Keyed gives each key (tenant, user) that comes with a call a bucket of
	// its own. A call without a key is then ErrKeyMissing.
	Keyed bool
	// Outage is what happens while the store does not answer. Defaults to
	// OutageLocalShare.
	Outage Outage
	// Carry is what becomes of the tokens that are there when the numbers
	// change. Defaults to CarryProportion.
	Carry Carry
	// FirstFill is how many tokens a bucket begins with that nobody has used: FirstEmpty,
	// or up to the burst; a larger one is as good as that. 0, the default, begins full.
	// Such a bucket is remembered for an hour after its last call, where others are as
	// soon forgotten as they are full; who comes back later is new.
	FirstFill int64
	// MaxWait is how long a call may wait for its tokens, in the fleet's queue; one
	// that would wait longer is refused at once. 0, the default, refuses at once
	// what has no tokens; Limiter.Wait then waits as long as its caller does. Must
	// not be negative, nor above an hour. It needs a store with queues.
	MaxWait time.Duration
	// Shadow tries the limit out: it decides and charges as ever, and refuses
	// nothing. See Decision.Shadowed.
	Shadow bool
	// Lease lets each replica take tokens ahead, as demand asks for them, and
	// spend them without a call of the store. The limit holds to the token all
	// the same. A replica that dies keeps what it took, a quarter of its share of
	// the burst at most, from the others for up to 10 s. A burst below 4 tokens
	// for each replica is too small, and shared as without it. It needs a store
	// that lends, and cannot change while running.
	Lease bool
	// Version orders changes of the numbers during a rolling deploy: the
	// highest one decides in the whole fleet, and at equal versions the
	// stricter numbers. Must not be negative. Defaults to the build's version
	// of the fleet's configuration, else 0.
	Version int64
}

// Validate reports an ill-formed Name, an unknown Outage or Carry, a FirstFill, a MaxWait
// or a Version out of range, what [Limit.Validate] reports, and bands out of order. A
// missing Name is valid here; it is refused where there is no guard to take it from.
func (r RateLimit) Validate() error {
	if err := optionalName(kindRateLimit, r.Name); err != nil {
		return err
	}
	switch {
	case r.Outage > OutageClosed:
		return invalid(kindRateLimit, "Outage", "is unknown")
	case r.Carry > CarryReset:
		return invalid(kindRateLimit, "Carry", "is unknown")
	case r.FirstFill < FirstEmpty:
		return invalid(kindRateLimit, "FirstFill", "must be a number of tokens, or -1 for none")
	case r.MaxWait < 0 || r.MaxWait > MaxWait:
		return invalid(kindRateLimit, "MaxWait", "must be between 0 and an hour")
	case r.Version < 0 || r.Version > MaxVersion:
		return invalid(kindRateLimit, "Version", "must be between 0 and 2^53-1")
	}
	if err := r.Limit.Validate(); err != nil {
		return err
	}
	return r.Also.validate(kindRateLimit, r.Limit)
}

// FirstEmpty is the FirstFill of a bucket that begins with no tokens.
const FirstEmpty = -1

// MaxWait is the longest that anybody waits for tokens.
const MaxWait = time.Hour

// MaxVersion is the largest Version of a policy: the largest integer that a Lua number
// holds exactly.
const MaxVersion = 1<<53 - 1

// WithDefaults returns r with the Burst of each band filled in.
func (r RateLimit) WithDefaults() RateLimit {
	r.Limit, r.Also = r.Limit.WithDefaults(), r.Also.WithDefaults()
	return r
}

// String gives the text form, such as "rate_limit(100/s, burst=20)".
func (r RateLimit) String() string {
	f := form{kind: kindRateLimit}
	f.bare(r.Limit.String())
	for _, band := range r.Also {
		if band != (Limit{}) {
			f.text("also", band.String())
		}
	}
	f.text("name", r.Name)
	f.flag("keyed", r.Keyed)
	if r.Outage != OutageLocalShare {
		f.text("outage", r.Outage.String())
	}
	if r.Carry != CarryProportion {
		f.text("carry", r.Carry.String())
	}
	f.int("first_fill", r.FirstFill)
	f.duration("max_wait", r.MaxWait)
	f.flag("shadow", r.Shadow)
	f.flag("lease", r.Lease)
	f.int("version", r.Version)
	return f.String()
}

func (RateLimit) policy() {}

const kindRateLimit = "rate_limit"

// A Decision is a limit's answer to one call. It is a plain value, so that a
// refusal costs no allocation.
type Decision struct {
	// Allowed says whether the call may proceed.
	Allowed bool
	// Degraded says that the store did not decide: the limit's Outage did.
	Degraded bool
	// Shadowed says that the limit would have refused, but is in Shadow: the
	// call is allowed, and nothing was taken for it.
	Shadowed bool
	// Granted is the number of tokens that were taken: the cost when allowed,
	// and of AllowUpTo as many as there were.
	Granted int64
	// Band is which of the limit's bands refused, the one with the longest
	// wait: 0 is Limit, 1 the first of Also. While numbers of another version
	// decide, it counts their bands. 0 when granted.
	Band int
	// Remaining is the number of whole tokens left in the bucket, in the band
	// that has the fewest, or of those that this replica took ahead; 0 when they
	// are not known.
	Remaining int64
	// RetryAfter is how long to wait before asking again is useful: 0 when
	// granted, else at least the time until the tokens are there. Waiting
	// exactly this long succeeds when nobody else took them.
	RetryAfter time.Duration
}
