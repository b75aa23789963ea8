package redisstore

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// refusing is a limiter of connections.
type refusing struct{}

func (refusing) Allow() error       { return nil }
func (refusing) ReportResult(error) {}

// Options that hurt are named, and those of a careful user are not.
func TestOptionsThatHurt(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		client redis.UniversalClient
		want   []string // the option that each warning begins with
	}{
		"the defaults":         {redis.NewClient(&redis.Options{}), nil},
		"another database":     {redis.NewClient(&redis.Options{DB: 3}), []string{"DB is 3"}},
		"a limiter":            {redis.NewClient(&redis.Options{Limiter: refusing{}}), []string{"Limiter"}},
		"a small pool":         {redis.NewClient(&redis.Options{PoolSize: 2}), []string{"PoolSize is 2"}},
		"a cluster":            {redis.NewClusterClient(&redis.ClusterOptions{}), []string{"ContextTimeoutEnabled"}},
		"a careful cluster":    {redis.NewClusterClient(&redis.ClusterOptions{ContextTimeoutEnabled: true}), nil},
		"no redirects":         {redis.NewClusterClient(&redis.ClusterOptions{ContextTimeoutEnabled: true, MaxRedirects: -1}), []string{"MaxRedirects"}},
		"a small cluster pool": {redis.NewClusterClient(&redis.ClusterOptions{ContextTimeoutEnabled: true, PoolSize: 1}), []string{"PoolSize is 1"}},
		"a ring":               {redis.NewRing(&redis.RingOptions{}), []string{"a Ring", "ContextTimeoutEnabled"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Cleanup(func() { _ = row.client.Close() })
			got := New(row.client, "shop", Options{}).Warnings()
			if len(got) != len(row.want) {
				t.Fatalf("warnings %q; want %q", got, row.want)
			}
			for i, want := range row.want {
				if !strings.HasPrefix(got[i], want) {
					t.Errorf("warning %q; want it to begin with %q", got[i], want)
				}
			}
		})
	}
}
