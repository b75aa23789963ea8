// Package migrating holds docs/migrating.md to its word: what its pages show is compiled
// here, from before, start and after, and the programs in same behave the same by other
// libraries and by compat.
package migrating
