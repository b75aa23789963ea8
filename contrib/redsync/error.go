package redsynclock

import (
	"crypto/tls"
	"crypto/x509"
	"errors"

	"github.com/go-redsync/redsync/v4"
	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/domain/port"
)

// decided tells redsync's errors apart: enough of so many servers answered, and too few
// said yes, or too few answered. It reports no for the former.
func decided(err error, servers int) (no bool, undecided error) {
	switch {
	case err == nil:
		return false, nil
	case errors.Is(err, redsync.ErrFailed), errors.Is(err, redsync.ErrExtendFailed): // enough said yes, too late
		return false, err
	case servers-unanswered(err) > servers/2:
		return true, nil
	default:
		return false, err
	}
}

// unanswered is how many servers gave no answer.
func unanswered(err error) (count int) {
	switch e := err.(type) { //nolint:errorlint // it looks at each of those that are joined
	case *redsync.RedisError:
		return 1
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			count += unanswered(one)
		}
	}
	return count
}

// wrong is the error of a call that could not decide; nil for none.
func wrong(op string, id port.ID, err error) error {
	if err == nil {
		return nil
	}
	return &domain.StoreError{Op: op, Name: id.Name, Config: misconfigured(err), Err: err}
}

// misconfigured reports whether err is about permissions, a password or TLS, which do not
// mend themselves.
func misconfigured(err error) bool {
	if redis.IsPermissionError(err) || redis.IsAuthError(err) {
		return true
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	_, ok := errors.AsType[x509.UnknownAuthorityError](err)
	return ok
}
