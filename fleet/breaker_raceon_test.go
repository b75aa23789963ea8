//go:build race

package fleet_test

// raceDetector: sync.Pool drops at random under it, so that allocations mean
// nothing.
const raceDetector = true
