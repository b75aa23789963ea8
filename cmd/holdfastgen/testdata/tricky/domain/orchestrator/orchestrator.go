// Package orchestrator has the name of another one.
package orchestrator

// A Conductor is somebody else.
type Conductor struct{}
