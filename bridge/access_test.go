package bridge_test

import (
	"crypto/elliptic"
	"crypto/tls"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"google.golang.org/grpc/codes"

	"github.com/rotki/notification-bridge/bridge"
	"github.com/rotki/notification-bridge/bridge/auth"
	"github.com/rotki/notification-bridge/bridge/testcert"
)

// What is in tokens that are refused, and is for nobody but the operator.
const (
	shownSubject = "subject-that-is-shown"
	shownID      = "id-of-the-token-shown"
)

// forger makes tokens that are not in order.
type forger struct {
	testing.TB
	key, other signingKey // one that is known, and one of the same kind that is not
	further    signingKey // the same, for an algorithm that the bridge does not use
	scope      auth.Scope // that is needed
}

// with returns a token that a known key signs, in which one claim is another.
func (f forger) with(claim string, value any) string {
	c := f.claims()
	c[claim] = value
	if value == nil {
		delete(c, claim)
	}
	return f.key.sign(f, c)
}

func (f forger) claims() jwt.MapClaims { return claims(shownSubject, shownID, string(f.scope)) }

// defects is everything that can be wrong with a token, and what comes of it.
var defects = []struct {
	name   string
	show   func(forger) string
	want   auth.Defect
	status int
	code   codes.Code
}{
	{"none", func(forger) string { return "" }, auth.Missing, 401, codes.Unauthenticated},
	{"malformed", func(forger) string { return "this-is.no-token.at-all" }, auth.Malformed, 401, codes.Unauthenticated},
	{"without exp", func(f forger) string { return f.with("exp", nil) }, auth.Malformed, 401, codes.Unauthenticated},
	{"wrong key", func(f forger) string {
		return signWith(f, f.key.method, f.other.private, f.key.id, f.claims())
	}, auth.WrongKey, 401, codes.Unauthenticated},
	{"wrong algorithm", func(f forger) string {
		return signWith(f, f.further.method, f.further.private, f.key.id, f.claims())
	}, auth.WrongAlgorithm, 401, codes.Unauthenticated},
	{"algorithm none", func(f forger) string {
		return signWith(f, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, f.key.id, f.claims())
	}, auth.WrongAlgorithm, 401, codes.Unauthenticated},
	{"HMAC with the public key", func(f forger) string {
		return signWith(f, jwt.SigningMethodHS256, f.key.publicPEM(f), f.key.id, f.claims())
	}, auth.WrongAlgorithm, 401, codes.Unauthenticated},
	{"unknown key id", func(f forger) string {
		if f.key.id == "" {
			return "" // a file's keys have none
		}
		return signWith(f, f.key.method, f.other.private, "id-that-is-unknown", f.claims())
	}, auth.UnknownKey, 401, codes.Unauthenticated},
	{"expired", func(f forger) string {
		return f.with("exp", time.Now().Add(-time.Hour).Unix())
	}, auth.Expired, 401, codes.Unauthenticated},
	{"not yet valid", func(f forger) string {
		return f.with("nbf", time.Now().Add(time.Minute).Unix())
	}, auth.NotYetValid, 401, codes.Unauthenticated},
	{"wrong issuer", func(f forger) string {
		return f.with("iss", "https://other.test")
	}, auth.WrongIssuer, 401, codes.Unauthenticated},
	{"no issuer", func(f forger) string { return f.with("iss", nil) }, auth.WrongIssuer, 401, codes.Unauthenticated},
	{"wrong audience", func(f forger) string {
		return f.with("aud", []string{"another-audience"})
	}, auth.WrongAudience, 401, codes.Unauthenticated},
	{"wrong scope", func(f forger) string {
		return f.with("scope", strings.ReplaceAll("subscribe publish admin", string(f.scope), "write"))
	}, auth.WrongScope, 403, codes.PermissionDenied},
	{"revoked", func(f forger) string { return f.with("jti", revokedID) }, auth.Revoked, 401, codes.Unauthenticated},
}

// revokedID is of a token that is revoked before it is shown.
const revokedID = "id-of-a-revoked-token"

// guarded is a bridge that asks everybody who it is.
type guarded struct {
	running
	log      *transcript
	operator string // a token for it
	files    []string
}

// startGuarded starts a bridge that asks for a token at every entrance, and of publishers for a certificate besides.
func startGuarded(t testing.TB, p *provider, by publishers) guarded {
	t.Helper()
	log, dir := new(transcript), t.TempDir()
	cert, key := by.server.ServerFiles(t, dir)
	files := bridge.TLSFiles{Cert: cert, Key: key, ClientCA: by.clients.File(t, dir, "clients.pem")}
	access := p.access()
	access.ClientNames = []string{publisherName}
	b := start(t, bridge.Config{Access: access, GRPCTLS: files, Logger: log.logger()})
	operator := p.token(t, "operator", "operator-token", auth.ScopeAdmin)
	return guarded{b, log, operator, []string{p.file, cert, key, files.ClientCA}}
}

// refused returns how many credentials were refused, by the labels of the metric.
func (b guarded) refused(t testing.TB) map[string]float64 {
	t.Helper()
	counts := make(map[string]float64)
	for text := range strings.Lines(b.metrics(t, b.operator)) {
		labels, value, _ := strings.Cut(strings.TrimSpace(text), "} ")
		if labels, ok := strings.CutPrefix(labels, "bridge_credentials_refused_total{"); ok {
			count, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			if count != 0 {
				counts[labels] = count
			}
		}
	}
	return counts
}

// metrics returns what /metrics shows to an operator.
func (b running) metrics(t testing.TB, operator string) string {
	t.Helper()
	code, text := do(t, newRequest(t, "http://"+b.AdminAddr()+"/metrics", visitor{token: operator}, byHeader))
	if code != http.StatusOK {
		t.Fatalf("an operator gets %d from /metrics: %s", code, text)
	}
	return text
}

// series is a label set of the metric.
func series(entrance string, defect auth.Defect) string {
	return fmt.Sprintf("defect=%q,entrance=%q", defect, entrance)
}

// TestAccess: at every entrance, every defect of a credential is refused, with a reason for the operator and nothing
// for who shows it; and what is in order comes in.
func TestAccess(t *testing.T) {
	p, by := newProvider(t), newPublishers(t)
	rsa, ec := newRSA(t, p.rsa.id), newEC(t, elliptic.P256(), jwt.SigningMethodES256)
	rs384 := signingKey{p.rsa.id, p.rsa.private, jwt.SigningMethodRS384}
	es384 := newEC(t, elliptic.P384(), jwt.SigningMethodES384)
	cells := 0
	for _, f := range []forger{
		{key: p.rsa, other: rsa, further: rs384},
		{key: p.ec, other: ec, further: es384},
	} {
		kind := f.key.method.Alg()
		doors := entrances()
		if f.key == p.ec {
			slices.Reverse(doors) // the log has a line for whoever comes first
		}
		t.Run(kind+" in order", func(t *testing.T) {
			f.TB = t
			b := startGuarded(t, p, by)
			var shown []string
			for _, door := range doors {
				f.scope = door.scope
				v := visitor{token: f.key.sign(t, f.claims()), trusts: by.server.Pool(), certificate: by.certificate}
				shown = append(shown, v.token)
				if got := door.enter(t, b.running, v); got.status != door.good {
					t.Errorf("%s: %+v, want %s", door.name, got, door.good)
				}
				cells++
			}
			if counts := b.refused(t); len(counts) > 0 {
				t.Errorf("refused: %v", counts)
			}
			b.log.holdsNone(t, append(shown, b.operator))
		})
		for _, defect := range defects {
			f.TB, f.scope = t, auth.ScopeAdmin
			if defect.want != auth.Missing && defect.show(f) == "" {
				continue
			}
			t.Run(kind+" "+defect.name, func(t *testing.T) {
				f.TB = t
				b := startGuarded(t, p, by)
				if defect.want == auth.Revoked {
					b.revoke(t, b.operator, revokedID)
				}
				counts := make(map[string]float64)
				var shown []string
				for _, door := range doors {
					f.scope = door.scope
					v := visitor{token: defect.show(f), trusts: by.server.Pool(), certificate: by.certificate}
					shown = append(shown, v.token)
					got := door.enter(t, b.running, v)
					if got.status != strconv.Itoa(defect.status) && got.status != defect.code.String() {
						t.Errorf("%s: %+v, want %d or %v", door.name, got, defect.status, defect.code)
					}
					tellsNothing(t, door.name, got.text, f.key, v.token, append(b.files, p.url))
					counts[series(door.label, defect.want)]++
					if now := b.refused(t); fmt.Sprint(now) != fmt.Sprint(counts) {
						t.Errorf("%s: counted are %v, want %v", door.name, now, counts)
					}
					cells++
				}
				b.tellsOperator(t, defect.want)
				b.log.holdsNone(t, append(shown, b.operator))
			})
		}
	}
	t.Logf("%d cells of entrance, way to show a token, kind of key, and defect", cells)
}

// tellsNothing fails the test if an answer holds a secret.
func tellsNothing(t *testing.T, door, text string, key signingKey, token string, files []string) {
	t.Helper()
	secrets := append(slices.Clone(files), issuer, audience, shownSubject, shownID, revokedID, "id-that-is-unknown")
	if key.id != "" {
		secrets = append(secrets, key.id)
	}
	for part := range strings.SplitSeq(token, ".") {
		if part != "" {
			secrets = append(secrets, part)
		}
	}
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("%s: the answer holds %q: %s", door, secret, text)
		}
	}
}

// tellsOperator checks that the log says for every kind of entrance what was wrong.
func (b guarded) tellsOperator(t *testing.T, defect auth.Defect) {
	t.Helper()
	var at []string
	for _, one := range b.log.refusals(t) {
		name, detail, _ := strings.Cut(one.Why, ": ")
		if name != string(defect) || detail == "" || one.Level != "WARN" || one.Peer == "" {
			t.Errorf("the log says %+v of %s", one, defect)
		}
		if one.Entrance == "" && one.Msg == "a publisher's credential was refused" {
			one.Entrance = "publish"
		}
		at = append(at, one.Entrance)
	}
	slices.Sort(at)
	if at = slices.Compact(at); !slices.Equal(at, []string{"admin", "events", "publish", "websocket"}) {
		t.Errorf("the log says what was wrong at %q only", at)
	}
}

// TestForeignOrigin: a page of somebody else's is turned away, whatever credential it can make the browser show.
func TestForeignOrigin(t *testing.T) {
	p, by := newProvider(t), newPublishers(t)
	for _, door := range entrances() {
		if door.scope != auth.ScopeSubscribe {
			continue
		}
		t.Run(door.name, func(t *testing.T) {
			b := startGuarded(t, p, by)
			v := visitor{token: p.token(t, "ann", "t1", auth.ScopeSubscribe), origin: "https://foreign.test"}
			got := door.enter(t, b.running, v)
			if got.status != "403" || !strings.Contains(got.text, "--allowed-origins") {
				t.Errorf("%+v", got)
			}
			tellsNothing(t, door.name, got.text, p.rsa, v.token, append(b.files, p.url))
			const counted = `bridge_handshakes_total{result="forbidden_origin"} 1`
			if text := b.metrics(t, b.operator); !strings.Contains(text, counted) {
				t.Error("it is not counted")
			}
			lines := b.log.refusals(t)
			if len(lines) != 1 || !strings.Contains(lines[0].Why, v.origin) || lines[0].Peer == "" {
				t.Errorf("the log says %+v", lines)
			}
			b.log.holdsNone(t, []string{v.token, b.operator})
			v.origin = "http://localhost:5173"
			if got := door.enter(t, b.running, v); got.status != door.good {
				t.Errorf("a page of this machine's own: %+v", got)
			}
		})
	}
}

// TestCertificates: a publisher needs a certificate as well as a token.
func TestCertificates(t *testing.T) {
	p, by := newProvider(t), newPublishers(t)
	stranger := testcert.NewCA(t, "publishers")
	vouched := func(by *testcert.CA, o testcert.Options) tls.Certificate {
		if o.Names == nil {
			o.Names = []string{publisherName}
		}
		return by.Certificate(t, o)
	}
	past, future := time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	for _, test := range []struct {
		name        string
		certificate tls.Certificate
		code        codes.Code
		alert       string // of TLS; empty if that is in order
		why         string // in the log
		counted     auth.Defect
	}{
		{"in order", by.certificate, codes.OK, "", "", ""},
		{
			"none",
			tls.Certificate{},
			codes.Unavailable, "certificate required", "didn't provide a certificate", auth.Missing,
		},
		{
			"of another authority", vouched(stranger, testcert.Options{Client: true}),
			codes.Unavailable, "unknown certificate authority", "unknown authority", auth.WrongCertificate,
		},
		{
			"expired", vouched(by.clients, testcert.Options{Client: true, NotAfter: past}),
			codes.Unavailable, "expired certificate", "expired", auth.WrongCertificate,
		},
		{
			"not yet valid", vouched(by.clients, testcert.Options{Client: true, NotBefore: future}),
			codes.Unavailable, "expired certificate", "not yet valid", auth.WrongCertificate,
		},
		{
			"a server's", vouched(by.clients, testcert.Options{}),
			codes.Unavailable, "bad certificate", "incompatible key usage", auth.WrongCertificate,
		},
		{
			"of another name", vouched(by.clients, testcert.Options{Names: []string{"other.test"}, Client: true}),
			codes.PermissionDenied, "", "wrong_certificate: ", auth.WrongCertificate,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := startGuarded(t, p, by)
			v := visitor{
				token:  p.token(t, "publisher", "t1", auth.ScopePublish),
				trusts: by.server.Pool(), certificate: test.certificate,
			}
			got := enterPublish(t, b.running, v)
			if got.status != test.code.String() {
				t.Errorf("%+v, want %v", got, test.code)
			}
			tellsNothing(t, "publish", got.text, p.rsa, v.token, append(b.files, p.url))
			if alert := b.alert(t, v); !strings.Contains(alert, test.alert) || (alert == "") != (test.alert == "") {
				t.Errorf("TLS says %q, want %q", alert, test.alert)
			}
			counts, lines := b.refused(t), b.log.refusals(t)
			if test.counted == "" {
				if len(counts)+len(lines) > 0 {
					t.Errorf("counted are %v, the log says %+v", counts, lines)
				}
				return
			}
			if len(counts) != 1 || counts[series("publish", test.counted)] == 0 {
				t.Errorf("counted are %v", counts)
			}
			if len(lines) == 0 || !strings.Contains(lines[0].Why+lines[0].Err, test.why) {
				t.Errorf("the log says %+v", lines)
			}
			b.log.holdsNone(t, []string{v.token, b.operator})
		})
	}
}

// alert returns how the bridge ends a TLS connection of a publisher's, empty if it does not.
func (b guarded) alert(t *testing.T, v visitor) string {
	t.Helper()
	config := &tls.Config{RootCAs: v.trusts, NextProtos: []string{"h2"}}
	if v.certificate.Certificate != nil {
		// Whether the bridge asks for one of its kind or not.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &v.certificate, nil
		}
	}
	conn, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", b.GRPCAddr())
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	// A server's first frame, its settings, comes unasked.
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		return err.Error()
	}
	return ""
}
