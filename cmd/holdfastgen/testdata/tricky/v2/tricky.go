// Package thing is called neither v2 nor tricky.
package thing

// A Thing is one.
type Thing struct{}
