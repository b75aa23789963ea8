package holdfastgrpc

import (
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/holdfast-go/holdfast/orchestrator"
)

// DefaultDomain is the domain of ErrorInfo where a configuration does not say.
const DefaultDomain = "holdfast"

// details are what programs read of a refusal: the machine's reason, the quota and the
// wait, where one helps. None of them has the key, which may be a secret.
func details(r orchestrator.Refusal, k kind, wait time.Duration, errorDomain string) []protoadapt.MessageV1 {
	info := &errdetails.ErrorInfo{Reason: r.Reason.String(), Domain: errorDomain}
	if r.Name != "" {
		info.Metadata = map[string]string{"name": r.Name}
	}
	all := []protoadapt.MessageV1{info}
	if k.code == codes.ResourceExhausted {
		all = append(all, &errdetails.QuotaFailure{Violations: []*errdetails.QuotaFailure_Violation{
			{Description: k.text, QuotaId: r.Name},
		}})
	}
	if wait > 0 {
		all = append(all, &errdetails.RetryInfo{RetryDelay: durationpb.New(wait)})
	}
	return all
}

// pushbackHeader is the trailer by which a server tells gRPC's own retries when to come
// back; a negative one, that they need not.
const pushbackHeader = "grpc-retry-pushback-ms"

// pushback returns that trailer for an error of a guard; nil where nothing is known.
func pushback(err error) metadata.MD {
	r, ok := orchestrator.RefusalOf(err)
	if !ok {
		return nil
	}
	wait := wholeMillis(r.RetryAfter)
	switch {
	case kindOf(r.Reason).final:
		return metadata.Pairs(pushbackHeader, "-1")
	case wait > 0:
		return metadata.Pairs(pushbackHeader, strconv.FormatInt(wait.Milliseconds(), 10))
	default:
		return nil
	}
}

// asksToWait reads how long the other side asks to be left alone.
func asksToWait(s *status.Status) (time.Duration, bool) {
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok && info.GetRetryDelay() != nil {
			return info.GetRetryDelay().AsDuration(), true
		}
	}
	return 0, false
}
