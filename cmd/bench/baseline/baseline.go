//go:build linux

// Package baseline has the servers that the bridge is measured against, each as simple as what it stands for can be.
//
//	bare        one thread that writes each message to each connection
//	coalescing  the same, but what has come by now goes to a connection in one write
//	hub         the usual hub of gorilla's examples: a channel and two goroutines per connection
//	echo        a grpc-go server that answers each request of a Publish stream and does nothing with it
//	upgrade     net/http and gorilla's Upgrader: the handshake and nothing after it
//	raw         nats.go's PublishMsgAsync and nothing else, into a stream like the bridge's: of a NATS server in its own
//	            process, or of others
//	relay       a grpc-go server that answers each request of a Publish stream once raw's means have stored it
//	nats        a NATS server, which others, the bridge too, keep their streams in
//
// The first three take what they are to publish over a TCP connection, the control connection: payloads, each behind
// its length in four bytes.
//
// # Concurrency
//
// A server runs in a process of its own until it is killed or, if it has one, its control connection ends.
package baseline

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
)

// Names of the servers.
const (
	Bare       = "bare"
	Coalescing = "coalescing"
	Hub        = "hub"
	Echo       = "echo"
	Upgrade    = "upgrade"
	Raw        = "raw"
	Relay      = "relay"
	NATS       = "nats"
)

// Config says which server runs. All but its name is for raw, relay and nats alone.
type Config struct {
	Name string `arg:""`

	Server string   // name of a NATS server
	Dir    string   // where a NATS server in the process stores
	Route  string   // where it listens for the others of its cluster; it is alone if empty
	Routes []string // where those listen

	NATS       string // where raw and relay publish; in their own process if empty
	Replicas   int    // of its stream
	Window     int    // how many messages of a publisher may be on their way
	Publishers int    // raw's, each with a connection of its own
	Size       int    // of its messages
}

// Addresses are where a server listens, those it has.
type Addresses struct {
	Websocket string `json:"websocket,omitempty"`
	GRPC      string `json:"grpc,omitempty"`
	Control   string `json:"control,omitempty"`
	NATS      string `json:"nats,omitempty"`
}

// Serve runs a server. Once it listens, it writes its addresses to w, as JSON on a line.
func Serve(c Config, w io.Writer) error {
	switch c.Name {
	case Bare, Coalescing:
		return serveBare(c.Name == Coalescing, w)
	case Hub:
		return serveHub(w)
	case Echo:
		return serveEcho(w)
	case Upgrade:
		return serveUpgrade(w)
	case Raw:
		return serveRaw(c, w)
	case Relay:
		return serveRelay(c, w)
	case NATS:
		return serveNATS(c, w)
	}
	return fmt.Errorf("there is no baseline %q", c.Name)
}

// AppendPayload appends a payload as the control connection takes it.
func AppendPayload(p, payload []byte) []byte {
	p = binary.BigEndian.AppendUint32(p, uint32(len(payload)))
	return append(p, payload...)
}

func listen() (*net.TCPListener, error) {
	return net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
}

// listenTwice listens for subscribers and for the control connection.
func listenTwice(w io.Writer) (websocket, control *net.TCPListener, err error) {
	if websocket, err = listen(); err != nil {
		return nil, nil, err
	}
	if control, err = listen(); err != nil {
		return nil, nil, err
	}
	err = announce(w, Addresses{Websocket: websocket.Addr().String(), Control: control.Addr().String()})
	return websocket, control, err
}

func announce(w io.Writer, at Addresses) error { return json.NewEncoder(w).Encode(at) }
