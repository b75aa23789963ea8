// Package start is one side of what docs/migrating.md shows, file by file.
package start
