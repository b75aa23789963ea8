package guardhttp

import (
	"context"
	"io"
	"net/http"
	"time"
)

// A trip is one try of a request: until the header of its response is there, it ends with
// the guard's context, and then with the client's. So a Timeout around it bounds the wait
// for the answer, and does not cut off the body that is read after the guard was left.
type trip struct {
	ctx     context.Context //nolint:containedctx // the request's
	cancel  context.CancelCauseFunc
	guarded func() bool // takes the guard's context off it
	owned   func() bool // and the client's
}

func newTrip(guard, client context.Context) *trip {
	t := &trip{}
	t.ctx, t.cancel = context.WithCancelCause(context.WithoutCancel(guard))
	t.guarded = context.AfterFunc(guard, func() { t.cancel(context.Cause(guard)) })
	t.owned = context.AfterFunc(client, func() { t.cancel(context.Cause(client)) })
	return t
}

// arrived is called with what came of the wait for the header. It returns why there is
// none.
func (t *trip) arrived(response *http.Response, err error) error {
	inTime := t.guarded()
	if err == nil && !inTime {
		err = context.Cause(t.ctx) // its body could not be read
		_ = response.Body.Close()
	}
	if err != nil {
		t.end()
	}
	return err
}

// end lets go of both contexts.
func (t *trip) end() {
	t.guarded()
	t.owned()
	t.cancel(context.Canceled)
}

// own has the trip end with the response's body.
func (t *trip) own(response *http.Response) {
	b := &body{ReadCloser: response.Body, trip: t}
	response.Body = b
	if w, ok := b.ReadCloser.(io.Writer); ok { // of a connection that was switched to another protocol
		response.Body = &duplex{b, w}
	}
}

// drainSize and drainFor bound what is read of a body that nobody wants, so that its
// connection can be used again.
const (
	drainSize = 16 << 10
	drainFor  = 50 * time.Millisecond
)

// drain closes a response that nobody wants.
func drain(response *http.Response) {
	if owner, ok := response.Body.(*body); ok {
		late := time.AfterFunc(drainFor, owner.trip.end)
		_, _ = io.CopyN(io.Discard, owner, drainSize)
		late.Stop()
	}
	_ = response.Body.Close()
}

// A body is that of a response, with which the trip ends.
type body struct {
	io.ReadCloser

	trip *trip
}

// Read ends the trip at the end of the body: not every client closes it.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.trip.end()
	}
	return n, err //nolint:wrapcheck // io.EOF has to come as it is
}

// A duplex is a body that is written to, as well.
type duplex struct {
	*body
	io.Writer
}

// Close lets the connection go.
func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.trip.end()
	return err //nolint:wrapcheck // as above
}
