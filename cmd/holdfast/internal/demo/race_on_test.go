//go:build race

package demo

// raceDetector makes everything several times slower, so no time is judged.
const raceDetector = true
