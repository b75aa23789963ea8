// Package published has a limit changed for a fleet of processes under load, by policies
// that are published to it, and looks at what was admitted all the while.
package published
