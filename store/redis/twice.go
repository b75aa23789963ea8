package redisstore

import "context"

// twice makes an attempt at n requests, by their numbers, and one more at those that were
// too late: they were not executed, and the server's clock is known now.
func twice(ctx context.Context, n int, attempt func(which []int) (late []int)) {
	if n == 0 {
		return
	}
	every := make([]int, n)
	for i := range every {
		every[i] = i
	}
	if late := attempt(every); len(late) > 0 && ctx.Err() == nil {
		attempt(late)
	}
}
