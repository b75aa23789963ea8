// Package money is innocent by itself.
package money

import (
	"strconv"

	"github.com/holdfast-go/holdfast/archtest/testdata/shop/clock"
)

// Zero is nothing.
func Zero() string { return strconv.Itoa(clock.Port()) }
