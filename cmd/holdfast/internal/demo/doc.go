// Package demo is holdfast's main job on real input, small enough to watch: a
// fleet of processes that call one HTTP service through a guard, share one limit
// and one breaker through Redis, and go through an outage together.
//
// [Run] starts the replicas as processes of their own, plays the story and ends
// in a [Verdict]: each promise with its bound and what was measured, at the
// service that was called or in the store, never what the replicas believe. Two
// things can only be seen at the calls themselves, so the load generator counts
// them: refusals, and how long a call waited for the store.
//
// The parent has the service (the downstream), the store unless one is given,
// and the door to the store, where it counts what comes in. Parent and replicas
// talk in lines of JSON over pipes. A replica is this same program, started again
// with [ReplicaCommand]; it ends when its parent does, however that ends.
package demo
