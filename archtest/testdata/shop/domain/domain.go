// Package domain is a domain that reaches more than it names.
package domain

import (
	"errors"

	"github.com/holdfast-go/holdfast/archtest/testdata/shop/money"
)

// ErrBroke is a domain's own.
var ErrBroke = errors.New("broke: " + money.Zero())
