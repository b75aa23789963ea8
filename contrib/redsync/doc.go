// Package redsynclock is a store of locks on Redis, by [redsync]: for the policy
// [domain.Exclusive], and for health checks that one replica of a fleet runs.
//
//	stores := redisstore.New(client, "shop", redisstore.Options{}).Stores()
//	stores.Locks = redsynclock.New(client, "shop", redsynclock.Options{})
//	orch, err := orchestrator.New(stores, orchestrator.Config{})
//
// On one server a lock is a key with a time to live that only its holder extends or
// deletes. On several ([Options].Others) it is redsync's Redlock: held by who has more
// than half of them.
//
// # What a lock is worth
//
// While the servers keep what was written and nobody's clock jumps, one at a time holds a
// lock. It is best effort: a failover can lose a key that was not copied yet, and a
// process that is suspended between looking at its lock and acting acts without it. So it
// saves work that would be wasted twice. Where twice would be wrong, use the token: it
// grows with each holder, and the place where the effect happens can refuse a lower one.
//
// redsync has no such tokens. This package takes one by a script, once the lock is held
// and only while it is, from a key in the same cluster slot.
//
// # Keys
//
// <fleet>:{l<name>} is the lock, and <fleet>:{l<name>}:fence its last token, which is kept
// for a day. Permissions: SET, GET, DEL, PEXPIRE, TIME, EVAL and EVALSHA on <fleet>:*.
//
// [redsync]: https://github.com/go-redsync/redsync
// [domain.Exclusive]: https://pkg.go.dev/github.com/holdfast-go/holdfast/domain#Exclusive
package redsynclock
