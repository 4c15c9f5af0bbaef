package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	adminv1 "github.com/rotki/notification-bridge/gen/go/rotki/bridge/admin/v1"
)

// maxListed is how many connections AdminService lists at the most.
const maxListed = 10_000

// connectionsCommand lists subscribers.
type connectionsCommand struct {
	operatorFlags
	selectorFlags
	Limit uint32 `default:"1000" placeholder:"N" help:"How many to list at the most (${default})."`
	JSON  bool   `name:"json" help:"Print one JSON object a line."`
}

// Run prints the connections, the longest connected first.
func (c *connectionsCommand) Run(ctx context.Context, streams stdio) error {
	return c.call(ctx, func(ctx context.Context, admin adminv1.AdminServiceClient) error {
		response, err := admin.ListConnections(ctx, &adminv1.ListConnectionsRequest{Selector: c.selector(), Limit: c.Limit})
		if err != nil {
			return err
		}
		if c.JSON {
			err = printJSON(streams.Out, response.GetConnections())
		} else {
			err = printTable(streams.Out, response.GetConnections(), time.Now())
		}
		if err != nil {
			return fmt.Errorf("print the connections: %w", err)
		}
		if listed := len(response.GetConnections()); uint64(listed) < response.GetTotal() {
			more := "--subject or --session lists some of them" // a bridge does not list any number
			if uint32(listed) == c.Limit && c.Limit < maxListed {
				more = "--limit lists more"
			}
			fmt.Fprintf(streams.Err, "%d of %d are listed; %s\n", listed, response.GetTotal(), more)
		}
		return nil
	})
}

func printJSON(w io.Writer, connections []*adminv1.Connection) error {
	for _, connection := range connections {
		line, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(connection)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%s\n", line); err != nil {
			return err
		}
	}
	return nil
}

func printTable(w io.Writer, connections []*adminv1.Connection, now time.Time) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tSUBJECT\tADDRESS\tBY\tFOR\tLAG\tEXPIRES IN\tSESSION\tTOKEN\tTYPES")
	for _, c := range connections {
		by, expires := "websocket", "-"
		if c.GetEntrance() == adminv1.Entrance_ENTRANCE_EVENTS {
			by = "events"
		}
		if at := c.GetExpiresAt(); at != nil {
			expires = at.AsTime().Sub(now).Round(time.Second).String()
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%v\t%d\t%s\t%s\t%s\t%s\n",
			c.GetId(), shown(c.GetSubject()), shown(c.GetAddress()), by, now.Sub(c.GetConnectedAt().AsTime()).Round(time.Second),
			c.GetLag(), expires, shown(c.GetSession()), shown(c.GetTokenId()), cmp.Or(strings.Join(c.GetTypes(), ","), "all"))
	}
	return table.Flush()
}

// shown returns a text as it can stand in a table: what a subject is called is others' choice.
func shown(text string) string {
	if text == "" {
		return "-"
	}
	if quoted := fmt.Sprintf("%q", text); quoted != `"`+text+`"` || strings.Contains(text, " ") {
		return quoted
	}
	return text
}

// disconnectCommand ends connections.
type disconnectCommand struct {
	operatorFlags
	selectorFlags
}

// Validate implements kong's hook.
func (c *disconnectCommand) Validate() error {
	if c.selector() == nil {
		return errors.New("say whom: --subject, --session or --connection")
	}
	return nil
}

// Run ends the connections and prints how many there were.
func (c *disconnectCommand) Run(ctx context.Context, streams stdio) error {
	return c.call(ctx, func(ctx context.Context, admin adminv1.AdminServiceClient) error {
		response, err := admin.Disconnect(ctx, &adminv1.DisconnectRequest{Selector: c.selector()})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(streams.Out, "disconnected: %d\n", response.GetDisconnected())
		return err
	})
}
