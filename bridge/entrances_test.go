package bridge_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/testcert"
	adminv1 "github.com/rotki/notification-bridge/gen/go/rotki/bridge/admin/v1"
	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// visitor is what somebody shows.
type visitor struct {
	token       string
	origin      string          // empty for what is no page
	trusts      *x509.CertPool  // of gRPC
	certificate tls.Certificate // of gRPC; the zero value for none
}

// answer is what somebody gets: an HTTP status, or the name of a gRPC code, and all else that it can see.
type answer struct{ status, text string }

// entrance is one way into a bridge.
type entrance struct {
	name  string
	label string // of the metric
	scope auth.Scope
	good  string // the status of those who are let in
	enter func(t testing.TB, b running, v visitor) answer
}

// entrances are all ways in, each with every way in which a token can be shown there.
func entrances() []entrance {
	all := []entrance{
		{"publish", "publish", auth.ScopePublish, "OK", enterPublish},
		{"metrics", "admin", auth.ScopeAdmin, "200", enterMetrics},
		{"AdminService", "admin", auth.ScopeAdmin, "OK", enterAdminService},
	}
	const scope = auth.ScopeSubscribe
	for name, show := range map[string]func(*http.Request, string){
		"header": byHeader, "query": byQuery, "cookie": byCookie, "subprotocol": bySubprotocol,
	} {
		all = append(all, entrance{"websocket by " + name, "websocket", scope, "101", enterWebsocket(show)})
		if name != "subprotocol" {
			all = append(all, entrance{"events by " + name, "events", scope, "200", enterEvents(show)})
		}
	}
	return all
}

func byHeader(r *http.Request, token string) { r.Header.Set("Authorization", "Bearer "+token) }

func byQuery(r *http.Request, token string) { r.URL.RawQuery = "token=" + token }

func byCookie(r *http.Request, token string) {
	r.AddCookie(&http.Cookie{Name: tokenCookie, Value: token})
}

func bySubprotocol(r *http.Request, token string) {
	r.Header.Set("Sec-WebSocket-Protocol", "bearer."+token)
}

// newRequest is a subscriber's.
func newRequest(t testing.TB, url string, v visitor, show func(*http.Request, string)) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if v.token != "" {
		show(r, v.token)
	}
	if v.origin != "" {
		r.Header.Set("Origin", v.origin)
	}
	return r
}

func enterWebsocket(show func(*http.Request, string)) func(testing.TB, running, visitor) answer {
	return func(t testing.TB, b running, v visitor) answer {
		t.Helper()
		r := newRequest(t, "ws://"+b.HTTPAddr()+"/ws/", v, show)
		conn, response, err := websocket.DefaultDialer.DialContext(t.Context(), r.URL.String(), r.Header)
		if response == nil {
			t.Fatalf("the handshake got no answer: %v", err)
		}
		if err == nil {
			_ = conn.Close()
		}
		return seen(t, response)
	}
}

func enterEvents(show func(*http.Request, string)) func(testing.TB, running, visitor) answer {
	return func(t testing.TB, b running, v visitor) answer {
		t.Helper()
		return ask(t, newRequest(t, "http://"+b.HTTPAddr()+"/events", v, show))
	}
}

func enterMetrics(t testing.TB, b running, v visitor) answer {
	t.Helper()
	return ask(t, newRequest(t, "http://"+b.AdminAddr()+"/metrics", v, byHeader))
}

// ask makes a request, and reads what comes unless the client is let in.
func ask(t testing.TB, r *http.Request) answer {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return seen(t, response)
}

func seen(t testing.TB, response *http.Response) answer {
	t.Helper()
	text := new(strings.Builder)
	if response.StatusCode >= 300 {
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(body)
	}
	_ = response.Header.Write(text)
	return answer{strconv.Itoa(response.StatusCode), text.String()}
}

func enterPublish(t testing.TB, b running, v visitor) answer {
	t.Helper()
	return call(t, b.GRPCAddr(), v.credentials(), v.token, publishOne)
}

func publishOne(ctx context.Context, conn *grpc.ClientConn, o ...grpc.CallOption) error {
	stream, err := notificationsv1.NewNotificationServiceClient(conn).Publish(ctx, o...)
	if err != nil {
		return err
	}
	// io.EOF says that Recv says more.
	err = stream.Send(&notificationsv1.PublishRequest{Notification: legacy("in")})
	if err != nil && err != io.EOF {
		return err
	}
	_, err = stream.Recv()
	return err
}

// credentials are of TLS.
func (v visitor) credentials() credentials.TransportCredentials {
	config := &tls.Config{RootCAs: v.trusts}
	if v.certificate.Certificate != nil {
		config.Certificates = []tls.Certificate{v.certificate}
	}
	return credentials.NewTLS(config)
}

func enterAdminService(t testing.TB, b running, v visitor) answer {
	t.Helper()
	return call(t, b.AdminGRPCAddr(), insecure.NewCredentials(), v.token, listConnections)
}

func listConnections(ctx context.Context, conn *grpc.ClientConn, o ...grpc.CallOption) error {
	_, err := adminv1.NewAdminServiceClient(conn).ListConnections(ctx, &adminv1.ListConnectionsRequest{}, o...)
	return err
}

// call makes a gRPC call with a token, and returns all that the caller is told.
func call(t testing.TB, addr string, transport credentials.TransportCredentials, token string,
	do func(context.Context, *grpc.ClientConn, ...grpc.CallOption) error,
) answer {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(transport))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var header, trailer metadata.MD
	said := status.Convert(do(ctx, conn, bearing(token), grpc.Header(&header), grpc.Trailer(&trailer)))
	return answer{said.Code().String(), fmt.Sprint(said.Message(), said.Details(), header, trailer)}
}

// publishers is how those who publish prove who they are, besides by a token.
type publishers struct {
	server, clients *testcert.CA
	certificate     tls.Certificate
}

func newPublishers(t testing.TB) publishers {
	t.Helper()
	clients := testcert.NewCA(t, "publishers")
	certificate := clients.Certificate(t, testcert.Options{Names: []string{publisherName}, Client: true})
	return publishers{testcert.NewCA(t, "server"), clients, certificate}
}

// publisherName is the identity of a publisher's certificate.
const publisherName = "publisher.test"
