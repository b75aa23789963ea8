// Package shop is a small schema as gqlgen generates it, for tests. After a change of the
// schema:
//
//	go run github.com/99designs/gqlgen@v0.17.98 generate --config gqlgen.yml
package shop
