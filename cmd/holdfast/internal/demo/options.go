package demo

import (
	"fmt"
	"time"

	"github.com/holdfast-go/holdfast/domain"
)

// The defaults of the Options.
const (
	DefaultDuration = 12 * time.Second
	DefaultReplicas = 4
	DefaultRate     = 200
	DefaultBurst    = 50
)

// What the Options may be. A fleet of one shares nothing; a replica that makes
// only a call now and then has no opinion in time; and a phase too short for a
// recovery shows none.
const (
	minDuration       = 10 * time.Second
	maxDuration       = 10 * time.Minute
	minReplicas       = 2
	maxReplicas       = 32
	minRatePerReplica = 10
	maxRate           = 2000
	maxBurst          = 100_000
	minBurstPerLender = 4
)

// Options say which demo to run. The zero Options are invalid; begin with
// [DefaultOptions].
type Options struct {
	// Duration is how long the story takes, from 10 s to 10 min.
	Duration time.Duration
	// Replicas is how many processes there are, from 2 to 32.
	Replicas int
	// Rate and Burst are the limit of the whole fleet, in calls a second and in
	// calls: at least 10 a second for each replica and at most 2,000.
	Rate, Burst int64
	// Lease lets each replica take tokens ahead. It needs a Burst of at least 4
	// for each of them.
	Lease bool
	// Redis is the store, as a redis://, rediss:// or unix:// URL or as host:port;
	// "" brings one along.
	Redis string

	sabotage sabotage
}

// A sabotage breaks promises on purpose, so that tests see the verdict fail.
type sabotage struct {
	unlimited bool           // the replicas have ten times the limit that is judged
	sharing   domain.Sharing // of the breaker
	loner     int            // a replica that shares its breaker with nobody; 0 = none
	steep     bool           // all calls come back at once
	forgetful bool           // the operator does not end the override
	hurried   bool           // a duration below the minimum will do
}

// DefaultOptions returns the demo as it is without flags.
func DefaultOptions() Options {
	return Options{Duration: DefaultDuration, Replicas: DefaultReplicas, Rate: DefaultRate, Burst: DefaultBurst}
}

// Validate reports the first option out of range, in the words of the command
// line.
func (o Options) Validate() error {
	switch {
	case o.Duration < minDuration && !o.sabotage.hurried, o.Duration > maxDuration:
		return fmt.Errorf("--duration %s: must be between %s and %s", o.Duration, minDuration, maxDuration)
	case o.Replicas < minReplicas || o.Replicas > maxReplicas:
		return fmt.Errorf("--replicas %d: must be between %d and %d", o.Replicas, minReplicas, maxReplicas)
	case o.Rate <= 0 || o.Rate > maxRate:
		return fmt.Errorf("--rate %d: must be between 1 and %d calls a second", o.Rate, maxRate)
	case o.Rate < minRatePerReplica*int64(o.Replicas):
		return fmt.Errorf("--rate %d: too low for %d replicas to notice an outage in time; at least %d",
			o.Rate, o.Replicas, minRatePerReplica*o.Replicas)
	case o.Burst <= 0 || o.Burst > maxBurst:
		return fmt.Errorf("--burst %d: must be between 1 and %d calls", o.Burst, maxBurst)
	case o.Lease && o.Burst < minBurstPerLender*int64(o.Replicas):
		return fmt.Errorf("--burst %d: too small for %d replicas to take tokens ahead; at least %d",
			o.Burst, o.Replicas, minBurstPerLender*o.Replicas)
	}
	if o.Redis == "" {
		return nil
	}
	_, err := parseURL(o.Redis)
	return err
}

// beat is the unit of time of the story, which is written for beatsInStory of them.
func (o Options) beat() time.Duration { return (o.Duration / beatsInStory).Truncate(time.Millisecond) }
