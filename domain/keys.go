package domain

// The bounds of MaxKeys in a CircuitBreaker that is Keyed, and its defaults.
const (
	// MaxLocalKeys is how many keys a breaker with ShareLocal may have: about 1.5 kB
	// each in every replica.
	MaxLocalKeys = 100_000
	// MaxSharedKeys is how many a shared one may have. Each replica reads each key in
	// use twice in a MaxStaleness, and reports it up to four times in a Window: with the
	// defaults some 32 µs of Redis a second, so that 40 replicas with 500 keys take two
	// thirds of a core.
	MaxSharedKeys = 500

	DefaultMaxKeys       = 1000
	DefaultMaxSharedKeys = 100
)

// maxKeptCalls bounds what the CountWindow of all keys together remembers: 32 MB.
const maxKeptCalls = 1_000_000

// validateKeys is the part of Validate that is about keys.
func (c CircuitBreaker) validateKeys() error {
	d := c.withKeyDefaults()
	switch {
	case !c.Keyed && c.MaxKeys != 0:
		return invalid(kindBreaker, "MaxKeys", "needs Keyed")
	case !c.Keyed && c.MaxOpenShare != 0:
		return invalid(kindBreaker, "MaxOpenShare", "needs Keyed")
	case c.MaxKeys < 0:
		return invalid(kindBreaker, "MaxKeys", "is negative")
	case c.MaxKeys > MaxLocalKeys:
		return invalid(kindBreaker, "MaxKeys", "is above 100,000")
	case c.MaxKeys > MaxSharedKeys && d.Sharing != ShareLocal:
		return invalid(kindBreaker, "MaxKeys", "is above 500, too many keys to share: each replica reads all in use twice a second")
	case c.Keyed && c.CountWindow*d.MaxKeys > maxKeptCalls:
		return invalid(kindBreaker, "CountWindow", "times MaxKeys is above 1,000,000 calls to remember")
	case c.MaxOpenShare != 0 && !(c.MaxOpenShare >= 0.001 && c.MaxOpenShare <= 1): // also NaN
		return invalid(kindBreaker, "MaxOpenShare", "must be between 0.001 and 1")
	}
	return nil
}

// withKeyDefaults is the part of WithDefaults that depends on Keyed.
func (c CircuitBreaker) withKeyDefaults() CircuitBreaker {
	if !c.Keyed {
		c.Sharing = or(c.Sharing, ShareQuorum)
		return c
	}
	c.Sharing = or(c.Sharing, ShareLocal)
	c.MaxOpenShare = or(c.MaxOpenShare, 1)
	if c.Sharing == ShareLocal {
		c.MaxKeys = or(c.MaxKeys, DefaultMaxKeys)
	} else {
		c.MaxKeys = or(c.MaxKeys, DefaultMaxSharedKeys)
	}
	return c
}
