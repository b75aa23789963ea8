package holdfastgrpc

import (
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/holdfast-go/holdfast/domain"
)

// Classify reads an error of a gRPC call: what it says itself (see [domain.Classify]),
// else its code. UNAVAILABLE, INTERNAL, UNKNOWN, DATA_LOSS and DEADLINE_EXCEEDED are
// failures; RESOURCE_EXHAUSTED and CANCELLED are ignored, since they say that somebody is
// too fast, or has gone away; any other code is an answer, and so a success.
//
// The interceptors read errors like this by themselves. It is for guards around stubs that
// are called without them.
func Classify(err error) domain.Outcome {
	if err == nil {
		return domain.Success
	}
	if said, ok := errors.AsType[interface {
		error
		Outcome() domain.Outcome
	}](err); ok {
		return said.Outcome()
	}
	switch codeOf(err) {
	case codes.Unavailable, codes.Internal, codes.Unknown, codes.DataLoss, codes.DeadlineExceeded:
		return domain.Failure
	case codes.ResourceExhausted, codes.Canceled:
		return domain.Ignored
	default:
		return domain.Success
	}
}

// codeOf is the code under which gRPC sends err.
func codeOf(err error) codes.Code {
	if s, ok := status.FromError(err); ok {
		return s.Code()
	}
	return status.FromContextError(err).Code()
}
