package guardhttp

import (
	"io"
	"net/http"

	"github.com/holdfast-go/holdfast/orchestrator"
)

// An exchange is one request on its way through a guarded handler, and the writer of its
// response, which notes the status. http.ResponseController finds what the server's own
// writer can do.
type exchange struct {
	http.ResponseWriter

	handler   *guarded
	request   *http.Request
	key       string
	quotas    *quotas // of the policy that was in force when it came
	decisions orchestrator.Decisions
	values    [2]string // of the fields that are set

	status int  // 0 = no response yet
	taken  bool // the handler has the connection
}

// began reports whether the client got anything.
func (x *exchange) began() bool { return x.status != 0 || x.taken }

// WriteHeader notes the first status that is final.
func (x *exchange) WriteHeader(status int) {
	if x.status == 0 && (status >= http.StatusOK || status == http.StatusSwitchingProtocols) {
		x.status = status
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write notes the status that a body without one has.
func (x *exchange) Write(b []byte) (int, error) {
	x.ok()
	return x.ResponseWriter.Write(b)
}

// ReadFrom lets the server's writer copy as fast as it can.
func (x *exchange) ReadFrom(src io.Reader) (int64, error) {
	x.ok()
	if to, can := x.ResponseWriter.(io.ReaderFrom); can {
		return to.ReadFrom(src)
	}
	return io.Copy(struct{ io.Writer }{x.ResponseWriter}, src)
}

// FlushError is what http.ResponseController calls to flush.
func (x *exchange) FlushError() error {
	x.ok()
	return http.NewResponseController(x.ResponseWriter).Flush()
}

func (x *exchange) ok() {
	if x.status == 0 {
		x.status = http.StatusOK
	}
}

// Unwrap is how http.ResponseController finds the server's writer.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// tellLimits sets the fields for what the limits decided.
func (x *exchange) tellLimits() { x.handler.fields.set(x) }
