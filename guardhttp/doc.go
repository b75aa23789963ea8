// Package guardhttp puts guards around HTTP servers and clients.
//
// A [Server] is a middleware: it refuses requests with 429 and 503, tells clients what is
// left of their limits, and lets breakers see what the handlers answer. A [Transport] is
// an http.RoundTripper: it retries what may be repeated, no earlier than the server asks
// for, and lets breakers see what the server answers. [Health] serves what a replica
// knows of itself and its fleet.
//
// All three use nothing but net/http. The fields RateLimit and RateLimit-Policy follow
// the draft draft-ietf-httpapi-ratelimit-headers-10, bodies RFC 9457.
package guardhttp
