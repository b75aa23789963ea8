// Package own has the interface and what is generated over it in one place, and neither is
// exported.
package own

import "context"

//go:generate go run github.com/holdfast-go/holdfast/cmd/holdfastgen -o guard.go -prefix own

type receipt struct{}

type service interface {
	//holdfast:resilient timeout(1s)
	charge(ctx context.Context, receipt receipt) (receipt, error)
	// inner and guardcharge would be fields.
	inner()
	guardcharge(service) service
}

// guarded uses what is generated, which the types of the package depend on.
type guarded struct{ *serviceGuard }

var _ service = guarded{}
