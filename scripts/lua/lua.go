// Package lua holds the scripts that keep shared state in Redis, one file each,
// as they are sent. docs/protocol.md describes the keys and fields they share.
package lua

import _ "embed"

// BucketTake decides what callers ask of token buckets. Its twin is
// domain/bucket.State.Decide.
//
//go:embed bucket_take.lua
var BucketTake string

// BreakerStep takes what a replica says about a breaker: evidence, a question
// for a probe lease, a probe's result. Its twins are domain/breaker.Fleet.Report
// and Probe.
//
//go:embed breaker_step.lua
var BreakerStep string

// BreakerOrder takes an operator's order about a breaker. Its twin is
// domain/breaker.Fleet.Order.
//
//go:embed breaker_order.lua
var BreakerOrder string

// MemberBeat keeps a replica a member of its fleet, and counts the members.
//
//go:embed member_beat.lua
var MemberBeat string

// PermitHold is one replica's word on how many permits of a bulkhead it needs. Its twin
// is domain/bulkhead.State.Hold.
//
//go:embed permit_hold.lua
var PermitHold string

// PolicyPublish puts a document of policies in force. Its twin is in store/memory.
//
//go:embed policy_publish.lua
var PolicyPublish string
