//go:build !race

package redisstore

// tapeLength is how many random operations the stores have to agree on.
const tapeLength = 100_000
