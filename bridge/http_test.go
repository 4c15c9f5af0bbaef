package bridge

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestPatientBody: a whole body leaves all the time there is for the answer.
func TestPatientBody(t *testing.T) {
	read := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := &patientBody{ReadCloser: r.Body, connection: http.NewResponseController(w), patience: brief}
		_, err := io.ReadAll(body)
		_, _ = body.Read(make([]byte, 1)) // as net/http's client does, to find out whether there is more
		read <- err
		if err == nil {
			ctx, cancel := context.WithTimeout(r.Context(), 2*brief)
			defer cancel()
			<-ctx.Done()
			if r.Context().Err() != nil {
				t.Error("the client is taken to have gone")
			}
		}
	}))
	defer server.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader("whole"))
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if err := <-read; err != nil {
		t.Errorf("a whole body: %v", err)
	}
}

// TestPanicIsLogged: the operator learns of a panic, and not of what a client does wrong.
func TestPanicIsLogged(t *testing.T) {
	var log bytes.Buffer
	server := httptest.NewUnstartedServer(nil)
	server.Config = newHTTPServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wrong" {
			panic("a mistake")
		}
		panic(http.ErrAbortHandler) // as it is for clients that are to come again
	}), slog.New(slog.NewTextHandler(&log, nil)))
	server.Start()
	for _, path := range []string{"/right", "/wrong"} {
		if response, err := http.Get(server.URL + path); err == nil {
			_ = response.Body.Close()
			t.Errorf("%s was answered", path)
		}
	}
	server.Close()
	if text := log.String(); !strings.Contains(text, "level=ERROR") || !strings.Contains(text, "a mistake") ||
		strings.Count(text, "level=") != 1 {
		t.Errorf("the log says:\n%s", text)
	}
}
