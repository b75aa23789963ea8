// Command limiter is a program that uses redis_rate. It prints what it was told.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
)

func main() {
	client := redis.NewClient(&redis.Options{Addr: os.Args[1]})
	limiter := redis_rate.NewLimiter(client)
	story(context.Background(), limiter)
}

func story(ctx context.Context, limiter *redis_rate.Limiter) {
	limit := redis_rate.Limit{Rate: 3, Burst: 5, Period: time.Hour}
	fmt.Println(limit, limit.IsZero(), redis_rate.PerMinute(7))

	tell("nobody was here", must(limiter.AllowN(ctx, "a", limit, 0)))
	tell("one", must(limiter.Allow(ctx, "a", limit)))
	tell("two at once", must(limiter.AllowN(ctx, "a", limit, 2)))
	tell("what there is", must(limiter.AllowAtMost(ctx, "a", limit, 9)))
	tell("one too many", must(limiter.Allow(ctx, "a", limit)))
	tell("at most one too many", must(limiter.AllowAtMost(ctx, "a", limit, 1)))
	tell("another key", must(limiter.Allow(ctx, "b", limit)))

	if err := limiter.Reset(ctx, "a"); err != nil {
		log.Fatal(err)
	}
	tell("after a reset", must(limiter.AllowN(ctx, "a", limit, 5)))
}

func tell(what string, r *redis_rate.Result) {
	fmt.Println(what, "-", r.Limit.Burst, r.Allowed, r.Remaining, roughly(r.RetryAfter), roughly(r.ResetAfter))
}

// roughly leaves out how long the program took, and how it is rounded.
func roughly(d time.Duration) time.Duration {
	if d < 0 {
		return d
	}
	return d.Round(20 * time.Minute)
}

func must(r *redis_rate.Result, err error) *redis_rate.Result {
	if err != nil {
		log.Fatal(err)
	}
	return r
}
