package classify

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strings"
)

// ownTLS reports that no trusted connection could be agreed on: certificates,
// clocks, versions and names are more often wrong on one machine than on all.
func ownTLS(err error) bool {
	switch {
	case holds[*tls.CertificateVerificationError](err),
		holds[x509.UnknownAuthorityError](err),
		holds[x509.HostnameError](err),
		holds[x509.CertificateInvalidError](err),
		holds[x509.SystemRootsError](err),
		holds[tls.RecordHeaderError](err),
		holds[tls.AlertError](err),
		errors.Is(err, http.ErrSchemeMismatch):
		return true
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && (op.Op == "remote error" || op.Op == "local error") {
		return true // an alert, as crypto/tls reports it over TCP
	}
	// The error's type is not exported, and it matches nothing.
	return strings.HasSuffix(err.Error(), "net/http: TLS handshake timeout")
}
