//go:build race

package main

// raceDetector slows everything down; what takes long and starts no goroutine is
// shortened for it.
const raceDetector = true
