package holdfastgqlgen

import (
	"context"
	"slices"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/holdfast-go/holdfast/domain"
	"github.com/holdfast-go/holdfast/orchestrator"
)

// An ongoing operation is a call of a guard until its last response.
type ongoing struct {
	stream     *orchestrator.Stream
	unwatch    func() bool
	responses  graphql.ResponseHandler
	subscribes bool
	failed     error // what the operation has come to so far
	over       bool
}

// begin runs an operation that the guard let pass.
func begin(
	ctx context.Context, stream *orchestrator.Stream, op *graphql.OperationContext, next graphql.OperationHandler,
) graphql.ResponseHandler {
	o := &ongoing{stream: stream, subscribes: op.Operation.Operation == ast.Subscription}
	// A transport that does not ask for all responses ends the context.
	o.unwatch = context.AfterFunc(ctx, func() { _ = stream.Close(ctx.Err()) }) //nolint:contextcheck // the stream has it
	begun := false
	defer func() {
		if !begun { // it panicked
			stream.Abandon()
		}
	}()
	o.responses = next(stream.Context()) //nolint:contextcheck // ctx, and what the guard adds
	begun = true
	return o.respond
}

// respond gives the next response; nil after the last one.
func (o *ongoing) respond(ctx context.Context) *graphql.Response {
	if o.over {
		return nil
	}
	returned := false
	defer func() {
		if !returned { // it panicked
			o.stream.Abandon()
		}
	}()
	response := o.responses(ctx)
	returned = true
	if response == nil {
		return o.last(ctx)
	}
	o.hear(response)
	if !o.subscribes && (response.HasNext == nil || !*response.HasNext) {
		if told := o.end(o.failed); told != nil { //nolint:contextcheck // the stream has it
			response.Errors = append(response.Errors, told)
		}
	}
	return response
}

// last is asked where there are no more responses. gqlgen gives none once the context has
// ended: that the guard ended it is then a response of its own.
func (o *ongoing) last(ctx context.Context) *graphql.Response {
	err := o.failed
	if err == nil {
		err = ctx.Err()
	}
	if told := o.end(err); told != nil { //nolint:contextcheck // the stream has it
		return &graphql.Response{Errors: gqlerror.List{told}}
	}
	return nil
}

// end ends the call with err. It returns what the guard has to say beside that: that the
// operation's time was up, or its lock was lost.
func (o *ongoing) end(err error) *gqlerror.Error {
	o.over = true
	said := o.stream.Close(err)
	o.unwatch()
	if said == nil || said == err { //nolint:errorlint // as it came, and not what wraps it
		return nil
	}
	told, _ := ErrorOf(said)
	return told
}

// hear notes what a response says about the operation. Of a subscription's events the last
// one counts, of a deferred part each one.
func (o *ongoing) hear(response *graphql.Response) {
	failed := worst(response.Errors)
	switch {
	case failed != nil:
		o.failed = failed
	case o.subscribes:
		o.failed = nil
	}
	if failed == nil {
		o.stream.Answered()
	}
}

// worst are those of a response's errors that say most about what is behind it: failures
// before local ones, and those before what is to be ignored. nil where there are none.
func worst(all gqlerror.List) error {
	most := 0
	for _, err := range all {
		most = max(most, weight(err))
	}
	found := slices.DeleteFunc(slices.Clone(all), func(err *gqlerror.Error) bool { return weight(err) < most })
	switch len(found) {
	case 0:
		return nil
	case 1:
		return found[0]
	default:
		return &several{found}
	}
}

// weight is how much an error says.
func weight(err error) int {
	switch domain.Classify(err) {
	case domain.Failure:
		return 3
	case domain.LocalFailure:
		return 2
	case domain.Ignored:
		return 1
	default:
		return 0
	}
}

// several errors are one that can be compared, as a list cannot.
type several struct{ gqlerror.List }
