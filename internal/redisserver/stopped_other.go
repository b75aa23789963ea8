//go:build unix && !linux

package redisserver

// stopped believes that the signal has arrived: there is no portable way to ask.
func stopped(int) bool { return true }
