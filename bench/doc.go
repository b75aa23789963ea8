// Package bench measures Holdfast side by side with what else there is for Go: in
// one run, round by round, so that a noisy machine hurts both sides alike. What is
// reported is a ratio, the median of the rounds and their spread; above 1 means
// that Holdfast is better. Nothing here asserts a time.
package bench
