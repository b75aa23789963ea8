// Package rollout applies the policies that operators publish to a fleet, while it runs: on
// every replica that follows, without a deploy.
//
//	follower, err := rollout.Follow(rollout.Config{
//		Orchestrator: orch,
//		Policies:     stores.Policies,
//	})
//	…
//	defer follower.Close()
//
// A published policy wins over the one that the code declares, for the guard of its name.
// Its breakers and limits get the publication's version, so that in the whole fleet its
// numbers decide, also over those of replicas that have not heard of it yet: nothing is
// counted anew and no token is made. A guard that is not named any more goes back to what
// it declares.
package rollout

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
	"github.com/holdfast-go/holdfast/orchestrator"
	"github.com/holdfast-go/holdfast/policy"
)

// DefaultEvery is how often a follower asks the store.
const DefaultEvery = 500 * time.Millisecond

// A Config says what to follow. Orchestrator and Policies are required.
type Config struct {
	// Every is how often the store is asked whether something was published: two plain
	// commands each time. Defaults to 500 ms.
	Every time.Duration
	// OnChange is told, from the follower's goroutine, of each publication that was applied
	// or refused, and when the policies in force were brought back to a store that had
	// lost them. Defaults to nobody.
	OnChange func(Change)
	// Orchestrator has the guards.
	Orchestrator *orchestrator.Orchestrator
	// Policies is the store's port.
	Policies port.PolicyStore
	// Read reads a document: it returns what says which policy a guard is to have, by its
	// name; false is a guard that the document does not concern. Defaults to the JSON of
	// package policy, without an environment.
	Read func(document string) (func(guard string) (domain.Policy, bool), error)
}

// A Change is what became of a publication here.
type Change struct {
	Version     uint64
	Shadow      bool     // it was checked, and is not applied
	Guards      []string // whose policies have changed, or would have
	BroughtBack bool     // the store had lost it
	Err         error    // why nothing has changed; what was in force before goes on
}

// A Follower is a goroutine that keeps the guards at what was published. It is safe for
// concurrent use.
type Follower struct {
	config  Config
	version atomic.Uint64
	cancel  context.CancelFunc
	ended   sync.WaitGroup

	seen    port.Publication                         // the last one that could be applied
	heard   uint64                                   // the version of the last one that was looked at
	wanted  func(guard string) (domain.Policy, bool) // what it says
	changed map[string]bool                          // guards that a publication has changed
}

// Follow starts to follow. It makes no store call itself, so it works while the store is
// down. A store without published policies is an error that matches errors.ErrUnsupported.
func Follow(c Config) (*Follower, error) {
	switch {
	case c.Orchestrator == nil:
		return nil, missing("Orchestrator")
	case c.Policies == nil:
		return nil, &unsupportedError{}
	case c.Every < 0:
		return nil, &domain.PolicyError{Policy: "rollout", Field: "Every", Reason: "is negative"}
	case c.Every == 0:
		c.Every = DefaultEvery
	}
	if c.Read == nil {
		c.Read = readJSON
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &Follower{config: c, cancel: cancel, changed: make(map[string]bool)}
	f.ended.Go(func() { f.follow(ctx) })
	return f, nil
}

func missing(field string) error {
	return &domain.PolicyError{Policy: "rollout", Field: field, Reason: "is missing"}
}

func readJSON(document string) (func(guard string) (domain.Policy, bool), error) {
	set, err := policy.ReadJSON([]byte(document), func(string) (string, bool) { return "", false })
	if err != nil {
		return nil, err //nolint:wrapcheck // it says where and what
	}
	return set.For, nil
}

// An unsupportedError is the error of a store without published policies.
type unsupportedError struct{}

func (*unsupportedError) Error() string { return "rollout: the store keeps no published policies" }
func (*unsupportedError) Unwrap() error { return errors.ErrUnsupported }

// Version is that of the publication in force here; 0 is none.
func (f *Follower) Version() uint64 { return f.version.Load() }

// Close ends following and waits for the goroutine, which a store call may hold up for as
// long as StoreTimeout. The policies in force stay so.
func (f *Follower) Close() {
	f.cancel()
	f.ended.Wait()
}

func (f *Follower) follow(ctx context.Context) {
	tick := time.NewTicker(f.config.Every)
	defer tick.Stop()
	for {
		f.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look asks the store once, and brings the guards to what it says. In an outage they stay as
// they are.
func (f *Follower) look(ctx context.Context) {
	within, cancel := context.WithTimeout(ctx, f.config.Orchestrator.StoreTimeout())
	defer cancel()
	p, err := f.config.Policies.Published(within, f.heard)
	switch {
	case err != nil:
		return // the health of the store is told by whoever decides by it
	case p.Version == 0 && f.seen.Version > 0:
		f.bringBack(within)
	case p.Version == 0:
		f.heard = 0 // there is none, or one that was refused here is lost
	case p.Version != f.heard:
		f.hear(p)
	}
	f.reach()
}

// bringBack gives the store back what it has lost.
func (f *Follower) bringBack(ctx context.Context) {
	version, ok, err := f.config.Policies.Publish(ctx, f.seen, 0)
	if err == nil && ok {
		f.heard = version
		f.tell(Change{Version: version, BroughtBack: true})
	}
}

func (f *Follower) tell(c Change) {
	if f.config.OnChange != nil {
		f.config.OnChange(c)
	}
}
