package redisstore

import (
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/breaker"
	"github.com/holdfast-go/holdfast/domain/bucket"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/scripts/lua"
)

// Options configure a Store. The zero value is ready to use.
type Options struct {
	now func() time.Time // tests only: decide in this clock, not in the server's
}

// A Store keeps shared state in Redis. It is safe for concurrent use.
type Store struct {
	fleet  string
	broken error // why the fleet's name cannot be used; nil = it can
	link   *link
	now    func() time.Time

	silence time.Duration // how long nothing may be pushed before the connection is asked whether it lives

	take, step, order, beat, hold, publish *script

	heals  heals
	claims claims[bucket.Rule]
	rules  claims[breaker.Rules]
	clock  serverClock
}

// New returns a store over the caller's client, which stays the caller's: to
// configure, to share and to close. It makes no call, so it works while Redis is
// down.
//
// fleet is the namespace: all replicas that give the same name on the same
// Redis share everything, and no other key is touched than those that begin
// with it and a colon. It has 1 to 64 ASCII letters, digits, '.', '_' or '-';
// with another one every call fails with [domain.ErrStoreConfig].
//
// Hooks of the client, as tracing has, see these calls if its
// ContextTimeoutEnabled is set, or it is not a plain [redis.Client]: else calls
// are bounded by copies of it, which have no hooks.
func New(client redis.UniversalClient, fleet string, o Options) *Store {
	s := &Store{
		fleet: fleet,
		link:  newLink(client),
		now:   o.now,

		silence: 15 * time.Second, // a dead connection says nothing either

		take:  newScript("bucket take", lua.BucketTake),
		step:  newScript("breaker step", lua.BreakerStep),
		order: newScript("breaker order", lua.BreakerOrder),
		beat:  newScript("member beat", lua.MemberBeat),
		hold:  newScript("permit hold", lua.PermitHold),

		publish: newScript("policy publish", lua.PolicyPublish),

		claims: claims[bucket.Rule]{text: claimText},
		rules:  claims[breaker.Rules]{text: rulesText},
	}
	if err := domain.ValidateName("fleet", fleet); err != nil {
		s.broken = &domain.StoreError{Op: "store", Name: fleet, Config: true, Err: fmt.Errorf("fleet: %w", err)}
	}
	return s
}

// Stores returns s as the ports that it implements: all of them.
func (s *Store) Stores() port.Stores {
	return port.Stores{
		Buckets: bucketStore{s}, Breakers: breakerStore{s}, Views: viewSource{s}, Members: memberStore{s}, Permits: permitStore{s},
		Operator: operatorStore{s}, Policies: policyStore{s},
	}
}

// nowArg is what scripts take for the time: 0 for the server's clock.
func (s *Store) nowArg() int64 {
	if s.now == nil {
		return 0
	}
	return s.now().UnixMicro()
}
