package histories

import (
	"time"

	"golang.org/x/sys/unix"
)

// monotonic is the machine's monotonic clock, in ns: the same for all of its
// processes, and running on while one of them is stopped. Calls are ordered by
// it. Decisions are ordered by the server's clock, which carries the other times.
func monotonic() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		panic(err) // there is no Linux without it
	}
	return now.Nano()
}

// serverNow is the clock that servers on this machine read, in µs.
func serverNow() int64 { return time.Now().UnixMicro() }
