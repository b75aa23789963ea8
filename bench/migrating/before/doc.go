// Package before is one side of what docs/migrating.md shows, file by file.
package before
