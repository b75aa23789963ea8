package gobreaker

import (
	"sync/atomic"
	"time"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/fleet"
)

// A call is one that was let through. The first end, or fail, counts.
type call struct {
	core   *core
	permit fleet.Permit
	ticket ticket
	ended  atomic.Bool
}

// end says what the call ended with.
func (c *call) end(err error) {
	if c.ended.Load() {
		return
	}
	outcome := c.core.local.settings.outcome(err) // if that panics, fail is still to come
	wait, _ := domain.RetryAfter(err)
	c.report(outcome, wait)
}

// fail ends a call that did not come back.
func (c *call) fail() { c.report(domain.Failure, 0) }

func (c *call) report(o domain.Outcome, wait time.Duration) {
	if c.ended.Swap(true) {
		return
	}
	c.permit.ReportAfter(o, wait)
	c.core.local.settle(c.ticket, o, c.core.fleet())
}
