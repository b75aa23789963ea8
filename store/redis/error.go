package redisstore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/holdfast-go/holdfast/domain"
)

// The troubles that scripts tell, as causes of a StoreError.
var (
	// ErrUnreadable: what stands under the key is not this library's. It is
	// told once; this replica's next call starts the entity afresh.
	ErrUnreadable = errors.New("unreadable state")
	// ErrNewer: the state was written by a newer version of the library, and is
	// left alone.
	ErrNewer = errors.New("state of a newer schema")
	// ErrStale: the call reached the server after its time, and was not executed.
	ErrStale = errors.New("too late")
	// ErrReply: the server's answer makes no sense.
	ErrReply = errors.New("unexpected reply")
)

// wrong is the error of a call that could not decide about one entity.
func wrong(op, name string, err error) error {
	entity := errors.Is(err, ErrUnreadable) || errors.Is(err, ErrNewer)
	return &domain.StoreError{Op: op, Name: name, Entity: entity, Config: misconfigured(err), Err: err}
}

// misconfigured reports whether err is about permissions, a password or TLS,
// which do not mend themselves.
func misconfigured(err error) bool {
	if redis.IsPermissionError(err) || redis.IsAuthError(err) || errors.Is(err, errMismatch) {
		return true
	}
	text := err.Error()
	if strings.HasPrefix(text, "ERR") &&
		(strings.Contains(text, "The user executing the script can't") || strings.Contains(text, "ACL failure")) {
		return true
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	// An alert of either end, such as that a certificate is required.
	said, ok := errors.AsType[*net.OpError](err)
	return ok && (said.Op == "remote error" || said.Op == "local error")
}

// timely turns the ways in which go-redis says that time ran out into the
// context's own.
func timely(ctx context.Context, err error) error {
	if !timedOut(err) {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if deadline, ok := ctx.Deadline(); ok && until(deadline) <= 0 {
		return context.DeadlineExceeded // the context's own timer is only later than the connection's
	}
	return err
}

func timedOut(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}
