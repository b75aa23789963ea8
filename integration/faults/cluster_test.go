package faults

import (
	"context"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/internal/redisserver"
)

// A cluster is three masters with a replica each.
type cluster struct {
	*testing.T

	nodes   []*redisserver.Server // the masters first
	clients []*redis.Client       // straight to each
}

const masters = 3

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{T: t}
	for range 2 * masters {
		node := redisserver.ForTest(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000",
			"--cluster-replica-validity-factor", "0", "--cluster-require-full-coverage", "no")
		client := redis.NewClient(&redis.Options{Addr: node.Addr()})
		t.Cleanup(func() { _ = client.Close() })
		c.nodes, c.clients = append(c.nodes, node), append(c.clients, client)
	}
	c.join()
	c.until(patience, "the cluster is made", func() bool { return c.knownOK() == len(c.nodes) })
	return c
}

// join makes one cluster of the nodes.
func (c *cluster) join() {
	c.Helper()
	ctx := c.Context()
	for i := range masters {
		c.must(c.clients[i].ClusterAddSlotsRange(ctx, i*16384/masters, (i+1)*16384/masters-1).Err())
	}
	host, port, err := net.SplitHostPort(c.nodes[0].Addr())
	c.must(err)
	for _, client := range c.clients[1:] {
		c.must(client.ClusterMeet(ctx, host, port).Err())
	}
	for i := range masters {
		master := c.id(i)
		c.until(patience, "a replica knows its master", func() bool {
			return c.clients[masters+i].ClusterReplicate(ctx, master).Err() == nil
		})
	}
}

func (c *cluster) id(i int) string {
	c.Helper()
	id, err := c.clients[i].Do(c.Context(), "cluster", "myid").Text()
	c.must(err)
	return id
}

// knownOK is how many nodes find the cluster well, with every replica in place.
func (c *cluster) knownOK() (n int) {
	for _, client := range c.clients {
		info, err := client.ClusterInfo(c.Context()).Result()
		nodes, err2 := client.ClusterNodes(c.Context()).Result()
		if err == nil && err2 == nil && strings.Contains(info, "cluster_state:ok") && strings.Count(nodes, " slave ")+strings.Count(nodes, ",slave ") == masters {
			n++
		}
	}
	return n
}

func (c *cluster) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

func (c *cluster) until(within time.Duration, what string, happened func() bool) {
	c.Helper()
	waitFor(c.T, within, what, happened)
}

// client is a client as a user makes it.
func (c *cluster) client() *redis.ClusterClient {
	addrs := make([]string, len(c.nodes))
	for i, node := range c.nodes {
		addrs[i] = node.Addr()
	}
	return redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs})
}

// slot is where the cluster keeps a limit.
func (c *cluster) slot(name string) int {
	c.Helper()
	slot, err := c.clients[0].ClusterKeySlot(c.Context(), bucketKey(name)).Result()
	c.must(err)
	return int(slot)
}

// nameOn is a limit that a master has.
func (c *cluster) nameOn(master int, prefix string) string {
	c.Helper()
	for i := 0; ; i++ {
		if name := prefix + strconv.Itoa(i); c.slot(name)*masters/16384 == master {
			return name
		}
	}
}

// clusterLosesMaster: its limits do what they declared, those of other masters
// notice nothing, and all is well soon after the cluster itself is.
func clusterLosesMaster(t *testing.T) {
	c := newCluster(t)
	r := &rig{T: t}
	r.Replica = join(t, c.client(), &r.events)
	policy := func(name string) domain.RateLimit {
		return domain.RateLimit{Name: name, Limit: domain.PerHour(1).WithBurst(burst), Outage: domain.OutageClosed}
	}
	lost, kept := r.limiter(policy(c.nameOn(0, "lost"))), r.limiter(policy(c.nameOn(1, "kept")))
	loads := []*load{startLoad(lost), startLoad(kept)}
	defer func() { loads[0].stop(); loads[1].stop() }()
	for _, l := range loads {
		r.until(patience, "calls are admitted", func() bool { return l.admitted() >= 10*callers })
	}
	killed := time.Now()
	c.nodes[0].Kill()
	c.until(patience, "its replica is promoted", func() bool {
		info, err := c.clients[masters].ClusterInfo(t.Context()).Result()
		role, err2 := c.clients[masters].InfoMap(t.Context(), "replication").Result()
		return err == nil && err2 == nil && strings.Contains(info, "cluster_state:ok") && role["Replication"]["role"] == "master"
	})
	promoted := time.Now()
	before := loads[0].admitted()
	r.until(recovery, "its limit is back", func() bool { return loads[0].admitted() > before+callers })
	back := time.Now()
	t.Logf("promoted after %v, back %v after that", promoted.Sub(killed).Round(time.Millisecond), back.Sub(promoted).Round(time.Millisecond))
	time.Sleep(200 * time.Millisecond) // it stays so
	calls := [][]made{loads[0].stop(), loads[1].stop()}
	for i, l := range loads {
		l.wantInTime(t, calls[i])
	}
	if r.stoodStill(max(loads[0].late, loads[1].late)) {
		return
	}
	wantEach(t, "those of another master", calls[1], isDecided)
	wantEach(t, "before", between(calls[0], time.Time{}, killed), isDecided)
	wantEach(t, "meanwhile", between(calls[0], killed, promoted), func(c made) bool { return isDecided(c) || unavailable(c.err, false) })
	// One for each part of the store that was lost: the members may live there too.
	if down, up := r.events.count(domain.EventStoreDown), r.events.count(domain.EventStoreUp); down < 1 || down > 2 || up != down {
		t.Errorf("told %d times down, %d times up: %v", down, up, r.events.kinds())
	}
}

// slotsMove: buckets are moved from master to master under load, and nobody
// notices.
func slotsMove(t *testing.T) {
	c := newCluster(t)
	r := &rig{T: t}
	r.Replica = join(t, c.client(), &r.events)
	name := c.nameOn(0, "moving")
	l := r.limiter(domain.RateLimit{Name: name, Limit: domain.PerHour(1).WithBurst(burst), Outage: domain.OutageClosed})
	calls := startLoad(l)
	defer calls.stop()
	for round := range 6 {
		n := calls.admitted()
		r.until(patience, "calls are admitted", func() bool { return calls.admitted() >= n+2*callers })
		c.move(name, round%masters, (round+1)%masters)
	}
	made := calls.stop()
	calls.wantInTime(t, made)
	if !r.stoodStill(calls.late) {
		wantEach(t, "all", made, isDecided)
		r.wantCalm()
	}
	r.wantSpent(l, made, outage{})
}

// move moves the slot of a limit, with what is in it, from one master to another.
func (c *cluster) move(name string, from, to int) {
	c.Helper()
	ctx, slot := context.WithoutCancel(c.Context()), c.slot(name)
	source, target := c.id(from), c.id(to)
	c.must(c.clients[to].Do(ctx, "cluster", "setslot", slot, "importing", source).Err())
	c.must(c.clients[from].Do(ctx, "cluster", "setslot", slot, "migrating", target).Err())
	time.Sleep(20 * time.Millisecond) // under way: new keys are asked for over there
	host, port, err := net.SplitHostPort(c.nodes[to].Addr())
	c.must(err)
	c.must(c.clients[from].Migrate(ctx, host, port, bucketKey(name), 0, time.Second).Err())
	time.Sleep(20 * time.Millisecond)
	for _, i := range []int{to, from} {
		c.must(c.clients[i].Do(ctx, "cluster", "setslot", slot, "node", target).Err())
	}
}
