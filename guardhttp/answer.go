package guardhttp

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// waitOf is how long a response asks to be left alone: by its Retry-After or else by its
// RateLimit fields; false when it does not ask. What is malformed is as good as not there.
func waitOf(response *http.Response, now time.Time) (time.Duration, bool) {
	if text := response.Header.Get("Retry-After"); text != "" {
		if wait, ok := retryAfter(text, now); ok {
			return wait, true
		}
	}
	return exhausted(response.Header["Ratelimit"])
}

// longestSeconds is the largest number of seconds that fits a time.Duration many times.
const longestSeconds = 1 << 31

// retryAfter reads a number of seconds, or a date.
func retryAfter(text string, now time.Time) (time.Duration, bool) {
	if seconds, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64); err == nil {
		return time.Duration(min(seconds, longestSeconds)) * time.Second, seconds >= 0
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0, false
	}
	return max(at.Sub(now), 0), true
}

// exhausted reads RateLimit fields: the longest t of the quotas that have nothing left.
func exhausted(lines []string) (wait time.Duration, asked bool) {
	for item := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		left, resets, ok := quotaOf(item)
		if ok && left == 0 {
			wait, asked = max(wait, time.Duration(min(resets, longestSeconds))*time.Second), true
		}
	}
	return wait, asked
}

// quotaOf reads r and t of one quota, such as "default";r=0;t=30. Names are this field's
// only strings, and one with a comma or a semicolon in it is read as malformed.
func quotaOf(item string) (left, resets int64, ok bool) {
	parts := strings.Split(item, ";")
	name := strings.TrimSpace(parts[0])
	if len(name) < 2 || name[0] != '"' || name[len(name)-1] != '"' {
		return 0, 0, false
	}
	left, resets = -1, -1
	for _, part := range parts[1:] {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		n, err := strconv.ParseInt(value, 10, 64)
		switch {
		case name != "r" && name != "t":
		case err != nil || n < 0:
			return 0, 0, false
		case name == "r":
			left = n
		default:
			resets = n
		}
	}
	return left, resets, left >= 0 && resets >= 0
}
