package redisserver

import (
	"bytes"
	"fmt"
	"os"
)

// stopped reports whether the process is stopped by a signal. In /proc/PID/stat
// the state follows the name of the program in brackets, which may hold
// brackets itself.
func stopped(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, found := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
	return found && bytes.HasPrefix(state, []byte("T"))
}
