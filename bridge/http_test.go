package bridge

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestPatientBody: a body that stalls is given up, and a whole one leaves all the time there is for the answer.
func TestPatientBody(t *testing.T) {
	const patience = 50 * time.Millisecond
	read := make(chan error, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := &patientBody{ReadCloser: r.Body, connection: http.NewResponseController(w), patience: patience}
		_, err := io.ReadAll(body)
		_, _ = body.Read(make([]byte, 1)) // as net/http's client does, to find out whether there is more
		read <- err
		if err == nil {
			ctx, cancel := context.WithTimeout(r.Context(), 4*patience)
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
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf"); err != nil {
		t.Fatal(err)
	}
	if err := <-read; err == nil {
		t.Error("half a body is taken for a whole one")
	}
}
