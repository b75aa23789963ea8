//go:build !race

package integration

// raceDetector slows everything down; tests that measure time say what they
// measured, and judge nothing.
const raceDetector = false
