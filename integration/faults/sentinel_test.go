package faults

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/internal/redisserver"
)

// A pair is a master, a replica of it, and a sentinel.
type pair struct {
	master, replica *redisserver.Server
	link            *way // from the replica to the master
	sentinel        string
	promoted        *redis.Client // straight to the replica
}

// lagging is by how much the replica is behind when it is promoted.
const lagging = 300 * time.Millisecond

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{master: redisserver.ForTest(t)}
	p.link = newWay(t, p.master.Addr())
	host, port, err := net.SplitHostPort(p.link.addr())
	if err != nil {
		t.Fatal(err)
	}
	p.replica = redisserver.ForTest(t, "--replicaof", host+" "+port)
	p.promoted = redis.NewClient(&redis.Options{Addr: p.replica.Addr()})
	t.Cleanup(func() { _ = p.promoted.Close() })
	waitFor(t, patience, "the replica follows", func() bool {
		info, err := p.promoted.InfoMap(t.Context(), "replication").Result()
		return err == nil && info["Replication"]["master_link_status"] == "up"
	})
	p.watch(t)
	return p
}

// watch starts a sentinel that promotes the replica half a second after the
// master went silent.
func (p *pair) watch(t *testing.T) {
	t.Helper()
	path, err := redisserver.Find()
	if err != nil {
		t.Fatal(err)
	}
	port, err := redisserver.FreePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	own := strconv.Itoa(port)
	p.sentinel = net.JoinHostPort("127.0.0.1", own)
	_, master, _ := net.SplitHostPort(p.master.Addr())
	config := filepath.Join(t.TempDir(), "sentinel.conf")
	lines := []string{
		"port " + own, "bind 127.0.0.1", "sentinel monitor shop 127.0.0.1 " + master + " 1",
		"sentinel down-after-milliseconds shop 500", "sentinel failover-timeout shop 3000",
	}
	if err := os.WriteFile(config, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), path, config, "--sentinel")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	sentinel := redis.NewSentinelClient(&redis.Options{Addr: p.sentinel})
	defer sentinel.Close()
	waitFor(t, patience+5*time.Second, "the sentinel knows both", func() bool {
		replicas, err := sentinel.Replicas(t.Context(), "shop").Result()
		return err == nil && len(replicas) > 0
	})
}

// failsOver plays the loss of the master under load. What it had not passed on is
// lost: so much more than the burst is admitted, and no more.
func failsOver(t *testing.T, lose func(*pair), after func(*pair)) {
	t.Helper()
	p := newPair(t)
	client := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "shop", SentinelAddrs: []string{p.sentinel}})
	r := &rig{T: t, server: p.replica}
	r.Replica = join(t, client, &r.events)
	l := r.limiter(domain.RateLimit{Name: "api", Limit: domain.PerHour(1).WithBurst(burst), Outage: domain.OutageClosed})
	calls := startLoad(l)
	defer calls.stop()
	r.until(patience, "calls are admitted", func() bool { return calls.admitted() >= 50*callers })
	p.link.proxy.Stop()
	time.Sleep(lagging) // so much is not passed on
	before := calls.admitted()
	lost := time.Now()
	lose(p)
	waitFor(t, 2*patience, "the replica is promoted", func() bool {
		info, err := p.promoted.InfoMap(t.Context(), "replication").Result()
		return err == nil && info["Replication"]["role"] == "master"
	})
	promoted := time.Now()
	r.until(recovery, "the limit is back", func() bool { return calls.admitted() > before+callers })
	t.Logf("promoted after %v, back %v after that", promoted.Sub(lost).Round(time.Millisecond), time.Since(promoted).Round(time.Millisecond))
	after(p)
	n := calls.admitted()
	r.until(patience, "calls go on", func() bool { return calls.admitted() > n+10*callers })
	made := calls.stop()
	calls.wantInTime(t, made)
	admitted := int64(0)
	for _, c := range made {
		if isDecided(c) {
			admitted++
		}
	}
	forgotten := admitted - (burst - r.remaining(l, ""))
	most := int64(callers * (lagging + 200*time.Millisecond) / pace)
	t.Logf("%d calls admitted, %d of them forgotten in the failover", admitted, forgotten)
	if forgotten < 1 || forgotten > most {
		t.Errorf("%d calls forgotten; want 1 to %d, what is admitted in the lag", forgotten, most)
	}
	if down, up := r.events.count(domain.EventStoreDown), r.events.count(domain.EventStoreUp); !r.stoodStill(calls.late) && (down != 1 || up != 1) {
		t.Errorf("told %d times down, %d times up", down, up)
	}
}

func masterIsLost(t *testing.T) {
	failsOver(t, func(p *pair) { p.master.Kill() }, func(*pair) {})
}

// masterComesBack: one that was only frozen still takes itself for the master for
// a moment. What was sent to it is not executed, or not kept.
func masterComesBack(t *testing.T) {
	failsOver(t,
		func(p *pair) { _ = p.master.Pause() },
		func(p *pair) { _ = p.master.Resume() },
	)
}
