package classify

import (
	"database/sql"
	"errors"
	"net/http"
	"net/url"
)

// ownHandling reports that this program used a library wrongly or set a limit
// of its own.
func ownHandling(err error) bool {
	if e, ok := errors.AsType[*url.Error](err); ok && e.Op == "parse" {
		return true
	}
	return holds[*http.MaxBytesError](err) ||
		isAny(err, sql.ErrTxDone, sql.ErrConnDone, http.ErrBodyReadAfterClose, http.ErrServerClosed)
}
