package redisstore

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/holdfast-go/holdfast/domain/port"
)

// The kinds of entity, as they stand in keys.
const (
	kindBucket  = 'b'
	kindBreaker = 'c'
	kindMembers = 'm'
	kindPermits = 'p'

	kindPolicies = 'r' // of rules
)

// keyMax is the longest part of a caller's key that is kept as it is.
const keyMax = 64

// key is the Redis key of an entity: <fleet>:{<kind><name>}, and for one of a
// keyed limit <fleet>:{<kind><name>=<key>}, or with # and a hash in place of a
// key that is long or has anything but plain characters. Names hold neither
// '=' nor '#', so no two entities have the same key; and the tag in braces is
// all that a cluster hashes, so nothing that belongs to an entity is elsewhere.
func (s *Store) key(kind byte, id port.ID) string {
	var b strings.Builder
	b.Grow(len(s.fleet) + len(id.Name) + len(id.Key) + 5)
	b.WriteString(s.fleet)
	b.WriteString(":{")
	b.WriteByte(kind)
	b.WriteString(id.Name)
	switch {
	case id.Key == "":
	case plain(id.Key):
		b.WriteByte('=')
		b.WriteString(id.Key)
	default:
		sum := sha256.Sum256([]byte(id.Key))
		b.WriteByte('#')
		b.WriteString(base64.RawURLEncoding.EncodeToString(sum[:16]))
	}
	b.WriteByte('}')
	return b.String()
}

// records is the Redis key of the stream of a breaker's records, beside its hash.
func records(key string) string { return key + ":log" }

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

// breakerID is the breaker whose key, or channel, it is. One whose own key is
// hashed cannot be told.
func (s *Store) breakerID(key string) (id port.ID, ok bool) {
	tag, ok := strings.CutPrefix(key, s.fleet+":{"+string(kindBreaker))
	if !ok {
		return id, false
	}
	tag, ok = strings.CutSuffix(tag, "}")
	if !ok || strings.Contains(tag, "#") && !strings.Contains(tag, "=") {
		return id, false
	}
	id.Name, id.Key, _ = strings.Cut(tag, "=")
	return id, id.Name != ""
}

// Shard groups entities by the part of a cluster that they probably share: a
// sixteenth of the slots each, since masters hold ranges of them. On anything
// but a cluster or a ring everything is one shard.
func (s *Store) shard(kind byte, id port.ID) uint32 {
	if s.link.single() {
		return 0
	}
	tag := s.key(kind, id)[len(s.fleet)+2:]
	return uint32(crc16(tag[:len(tag)-1])) % slotCount / (slotCount / shardCount)
}

const (
	slotCount  = 16384
	shardCount = 16
)

// crc16 is CRC-16/XMODEM, by which Redis Cluster hashes keys.
func crc16(s string) uint16 {
	var crc uint16
	for i := range len(s) {
		crc ^= uint16(s[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}
