// Package application is the application layer of the sample: the file beside this one is
// generated.
package application

//go:generate go run github.com/holdfast-go/holdfast/cmd/holdfastgen -o guards.go ../payment
