//go:build race

package redisstore

// tapeLength is shorter under the race detector, which makes miniredis ten
// times slower: what it looks for are races, and they do not need a long tape.
const tapeLength = 5_000
