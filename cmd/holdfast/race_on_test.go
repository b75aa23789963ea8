//go:build race

package main

// raceDetector makes everything several times slower, so no time is judged.
const raceDetector = true
