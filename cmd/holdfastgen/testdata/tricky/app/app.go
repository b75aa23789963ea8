// Package app uses the names that the generator would like to.
package app

//go:generate go run github.com/holdfast-go/holdfast/cmd/holdfastgen -o names.go -type Names ../domain
//go:generate go run github.com/holdfast-go/holdfast/cmd/holdfastgen -o parametric.go -type Parametric,Instance,Blank ../domain

var (
	hold    = 1
	time    = hold
	_       = time
	context = "mine"
	_       = context
)
