package client

import (
	"errors"
	"net/http"
	"testing"
	"time"
)

func FuzzRetryAfter(f *testing.F) {
	for _, value := range []string{
		"", "0", "1", "-1", "+1", "9223372036854775807", "99999999999999999999", "1.5", "soon",
		"Fri, 31 Dec 1999 23:59:59 GMT", "Fri, 31 Dec 9999 23:59:59 GMT",
	} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		p := pauses{bounds: Backoff{Min: time.Minute, Max: time.Minute}}
		cause := errors.New("503")
		err := later(cause, &http.Response{Header: http.Header{"Retry-After": {value}}})
		if d := p.pauseAfter(err); d <= 0 || d > 2*longestPause || !errors.Is(err, cause) {
			t.Errorf("%q makes it wait for %v, after %v", value, d, err)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"30": 30 * time.Second, "100000": longestPause, "Fri, 31 Dec 9999 23:59:59 GMT": longestPause,
	} {
		p := pauses{bounds: Backoff{Min: time.Hour, Max: time.Hour}}
		d := p.pauseAfter(later(errors.New("503"), &http.Response{Header: http.Header{"Retry-After": {value}}}))
		if d < want || d > want+want/10 {
			t.Errorf("%q makes it wait for %v, want %v", value, d, want)
		}
	}
	for _, value := range []string{"0", "Fri, 31 Dec 1999 23:59:59 GMT"} {
		p := pauses{bounds: Backoff{Min: time.Hour, Max: time.Hour}}
		d := p.pauseAfter(later(errors.New("503"), &http.Response{Header: http.Header{"Retry-After": {value}}}))
		if d < time.Hour/2 || d > time.Hour {
			t.Errorf("%q makes it wait for %v, and not for as long as its backoff does", value, d)
		}
	}
}
