package redsynclock

import (
	"crypto/sha256"
	"encoding/base64"

	"github.com/holdfast-go/holdfast/domain/port"
)

// keyMax is the longest part of a caller's key that is kept as it is.
const keyMax = 64

// key is the Redis key of a lock, formed as those of the store on Redis are:
// <fleet>:{l<name>}, <fleet>:{l<name>=<key>}, or with # and a hash in place of a key that
// is long or has anything but plain characters.
func (l *Locks) key(id port.ID) string {
	tag := "l" + id.Name
	switch {
	case id.Key == "":
	case plain(id.Key):
		tag += "=" + id.Key
	default:
		sum := sha256.Sum256([]byte(id.Key))
		tag += "#" + base64.RawURLEncoding.EncodeToString(sum[:16])
	}
	return l.fleet + ":{" + tag + "}"
}

// fenceKey is where the last token is kept, in the same slot of a cluster.
func (l *Locks) fenceKey(id port.ID) string { return l.key(id) + ":fence" }

// plain reports whether a caller's key may stand in a Redis key as it is.
func plain(key string) bool {
	if len(key) > keyMax {
		return false
	}
	for i := range len(key) {
		if c := key[i]; c <= ' ' || c > '~' || c == '{' || c == '}' {
			return false
		}
	}
	return true
}
