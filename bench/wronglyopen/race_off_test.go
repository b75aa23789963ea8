//go:build !race

package main

// raceDetector slows everything down; tests that measure time say what they
// measured, and judge nothing.
const raceDetector = false
