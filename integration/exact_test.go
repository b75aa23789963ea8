package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/internal/redisserver"
)

// How the fleet of an exactness test is made. What is admitted is known from
// the store itself: each process reaches it through a relay that reads the
// replies of bucket_take, which carry the server's time of the decision and what
// was granted, and keeps those too that it then loses. So nothing is estimated,
// and no replica is believed.
const (
	fleetProcesses = 8
	fleetCallers   = 8
	fleetRuns      = 3 * time.Second
)

// A testFleet is processes on a Redis of their own.
type testFleet struct {
	t         *testing.T
	limit     domain.Limit
	admin     *redis.Client
	relays    []*relay
	processes []*replicaProcess
	seed      uint64
}

func startFleet(t *testing.T, limit domain.RateLimit, clocks bool) *testFleet {
	t.Helper()
	server := redisserver.ForTest(t)
	f := &testFleet{t: t, limit: limit.Limit.WithDefaults(), seed: rand.Uint64()}
	t.Logf("seed %d", f.seed)
	f.admin = redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = f.admin.Close() })
	for i := range fleetProcesses {
		r := startRelay(t, server.Addr(), f.seed+uint64(i))
		order := replicaOrder{Addr: r.addr(), Limit: limit, Callers: fleetCallers}
		if clocks {
			order.ClockHours = i + 1
		} else {
			order.Fleet = fleetProcesses
		}
		f.relays = append(f.relays, r)
		f.processes = append(f.processes, startReplica(t, order))
	}
	beginAll(t, f.processes)
	return f
}

// lose lets every relay lose so many of 1,000 replies.
func (f *testFleet) lose(perMille int64) {
	for _, r := range f.relays {
		r.lose.Store(perMille)
	}
}

// scriptFlushes flushes the server's scripts again and again, and returns how often.
func (f *testFleet) scriptFlushes(until time.Time) (n int) {
	for time.Now().Before(until) {
		if err := f.admin.ScriptFlush(f.t.Context()).Err(); err != nil {
			f.t.Fatal(err)
		}
		n++
		time.Sleep(10 * time.Millisecond) // the pace of the fault, not a wait for anything
	}
	return n
}

// executed is how many scripts the server ran to their end, by its own count.
func (f *testFleet) executed() (n int) {
	f.t.Helper()
	info, err := f.admin.Info(context.WithoutCancel(f.t.Context()), "commandstats").Result()
	if err != nil {
		f.t.Fatal(err)
	}
	for line := range strings.Lines(info) {
		for _, name := range []string{"evalsha", "eval"} {
			var calls, usec, rejected, failed int
			var perCall float64
			if _, err := fmt.Sscanf(line, "cmdstat_"+name+":calls=%d,usec=%d,usec_per_call=%f,rejected_calls=%d,failed_calls=%d",
				&calls, &usec, &perCall, &rejected, &failed); err == nil {
				n += calls - failed
			}
		}
	}
	return n
}

// An admission is tokens that were admitted at a time of the machine's clock,
// which is the server's too.
type admission struct{ atMicro, tokens int64 }

// excess is by how many tokens the worst interval exceeded burst + rate·t; below
// 0, by how many it stayed below. It counts in credits, so it is exact.
func excess(limit domain.Limit, admitted []admission) float64 {
	slices.SortFunc(admitted, func(a, b admission) int { return int(a.atMicro - b.atMicro) })
	earn, worth := limit.Reduced()
	full := limit.Burst * worth
	var sum, least int64 // what was admitted before, less what was earned; the least at an interval's beginning
	worst := -full
	for i, a := range admitted {
		earned := (a.atMicro - admitted[0].atMicro) * earn
		if i == 0 || sum-earned < least {
			least = sum - earned
		}
		sum += a.tokens * worth
		worst = max(worst, sum-earned-least-full)
	}
	return float64(worst) / float64(worth)
}

// TestExactClosed: eight processes, one limit, Closed. Replies are lost, scripts
// flushed, a process killed, and each process has a clock an hour from the next
// one's, decades from the server's, and running unlike it. The store never
// admits more than burst + rate·t in any interval, and executes no call twice.
func TestExactClosed(t *testing.T) {
	limit := domain.PerSecond(2000).WithBurst(300)
	f := startFleet(t, domain.RateLimit{Name: "api", Limit: limit, Outage: domain.OutageClosed}, true)
	f.lose(20)
	start := time.Now()
	flushes := f.scriptFlushes(start.Add(fleetRuns / 2))
	f.processes[0].kill()
	flushes += f.scriptFlushes(start.Add(fleetRuns))
	f.lose(0)
	stopAll(f.processes)
	var admitted []admission
	var stats relayStats
	var calls, total int64
	for i, p := range f.processes {
		var report replicaReport
		if i > 0 {
			report = p.report(t)
		}
		takes, own := f.relays[i].log()
		charged := int64(0)
		for _, taken := range takes {
			charged += taken.tokens
			admitted = append(admitted, admission{taken.atMicro, taken.tokens})
		}
		stats.decided += own.decided
		stats.stale += own.stale
		stats.unknown += own.unknown
		stats.lost += own.lost
		stats.clocks += own.clocks
		stats.odd += own.odd
		total += charged
		if i == 0 {
			continue
		}
		calls += report.Calls
		t.Logf("process %d, in the year %d: %d calls, %d admitted, %d charged, %d errors; %d port calls, %d decided, %d stale",
			i, time.Unix(report.Wall, 0).UTC().Year(), report.Calls, report.Admitted, charged, report.Errors,
			report.Ports, own.decided, own.stale)
		switch {
		case len(report.Unknown) > 0:
			t.Errorf("process %d: errors that are not documented: %q", i, report.Unknown[0])
		case len(report.Local) > 0:
			t.Errorf("process %d admitted %d calls without the store, under Closed", i, len(report.Local))
		case report.Admitted > charged:
			t.Errorf("process %d admitted %d calls and the store %d tokens", i, report.Admitted, charged)
		case charged > report.Admitted+report.Errors: // a refusal charges nothing, and a lost reply one token at most
			t.Errorf("process %d: %d calls were admitted, %d got no answer, and %d tokens were charged", i, report.Admitted, report.Errors, charged)
		case int64(own.decided) > report.Ports:
			t.Errorf("process %d made %d calls of the store, and it executed %d", i, report.Ports, own.decided)
		}
	}
	if executed := f.executed(); executed != stats.decided+stats.stale {
		t.Errorf("the server executed %d scripts; the relays saw %d", executed, stats.decided+stats.stale)
	}
	x := excess(f.limit, admitted)
	t.Logf("%d calls, %d tokens charged, %.3f below burst + rate·t in the worst interval; %d replies lost, %d flushes, %d times NOSCRIPT, %d scripts, %d too late",
		calls, total, max(-x, 0), stats.lost, flushes, stats.unknown, stats.decided, stats.stale)
	if x > 0 {
		t.Errorf("%v tokens above burst + rate·t in the worst interval", x)
	}
	if stats.odd != 0 {
		t.Fatalf("%d requests have a form that the relay does not know: it has to follow docs/protocol.md", stats.odd)
	}
	if stats.clocks != 0 {
		t.Errorf("%d requests brought a clock; want the server's to decide", stats.clocks)
	}
	if stats.lost == 0 || stats.unknown == 0 || total < 2000*int64(fleetRuns/time.Second)/2 {
		t.Errorf("%d replies lost, %d times NOSCRIPT, %d tokens: nothing was put to the test", stats.lost, stats.unknown, total)
	}
}

// TestExactLocalShare: the same with LocalShare, once with single lost replies,
// and once so that each process in turn hears nothing for a while. Rule L1: burst
// + rate·t, and for the time in which k of N are cut off, rate·t·k/N more; rule
// L12: each admits its part of the rate for the time in which its store was
// down, starting from nothing.
func TestExactLocalShare(t *testing.T) {
	t.Run("single replies are lost", func(t *testing.T) { exactLocalShare(t, false) })
	t.Run("each is cut off for a while", func(t *testing.T) { exactLocalShare(t, true) })
}

func exactLocalShare(t *testing.T, cutOffs bool) {
	t.Helper()
	limit := domain.PerSecond(2000).WithBurst(300)
	f := startFleet(t, domain.RateLimit{Name: "api", Limit: limit}, false)
	f.lose(20)
	start := time.Now()
	flushes := f.scriptFlushes(start.Add(fleetRuns / 4))
	if cutOffs {
		for i := range fleetProcesses + 1 {
			if i < fleetProcesses {
				f.relays[i].mute.Store(true)
			}
			flushes += f.scriptFlushes(time.Now().Add(fleetRuns / 2 / fleetProcesses))
			if i > 0 { // so two are cut off at a time
				f.relays[i-1].mute.Store(false)
			}
		}
	}
	flushes += f.scriptFlushes(start.Add(fleetRuns))
	f.lose(0)
	stopAll(f.processes)
	var charged, delivered []admission
	var lost int
	var cutOff time.Duration
	var local int
	for i, p := range f.processes {
		report := p.report(t)
		takes, own := f.relays[i].log()
		for _, taken := range takes {
			charged = append(charged, admission{taken.atMicro, taken.tokens})
			if !taken.lost {
				delivered = append(delivered, admission{taken.atMicro, taken.tokens})
			}
		}
		for _, at := range report.Local {
			delivered = append(delivered, admission{at, 1})
		}
		lost += own.lost
		cutOff += report.DownFor
		local += len(report.Local)
		share := float64(limit.Tokens) / fleetProcesses * report.DownFor.Seconds()
		t.Logf("process %d: %d calls, %d admitted by the store, %d locally in %d outages of %v together (its share: %.1f)",
			i, report.Calls, report.Admitted, len(report.Local), report.Outages, report.DownFor.Round(time.Millisecond), share)
		if len(report.Unknown) > 0 {
			t.Errorf("process %d: errors that are not documented: %q", i, report.Unknown[0])
		}
		if float64(len(report.Local)) > share*1.05+10 { // events are told a little later than they happen
			t.Errorf("process %d admitted %d calls locally; its share of the rate was %.1f", i, len(report.Local), share)
		}
		if int64(own.decided) > report.Ports {
			t.Errorf("process %d made %d calls of the store, and it executed %d", i, report.Ports, own.decided)
		}
	}
	if x := excess(f.limit, charged); x > 0 {
		t.Errorf("the store alone admitted %v tokens above burst + rate·t", x)
	}
	x := excess(f.limit, delivered)
	allowed := float64(limit.Tokens)/fleetProcesses*cutOff.Seconds() + fleetProcesses
	t.Logf("%d admitted locally, %d replies lost, %d flushes; %.1f tokens above burst + rate·t in the worst interval, where %.1f are allowed for",
		local, lost, flushes, x, allowed)
	if x > allowed {
		t.Errorf("%.1f tokens above burst + rate·t in the worst interval; want %.1f at most", x, allowed)
	}
	if lost == 0 || (local == 0 && cutOffs) {
		t.Errorf("%d admitted locally, %d replies lost: nothing was put to the test", local, lost)
	}
}
