// Protoc-gen-rotki-contract is a protoc plugin that writes the contract for machines: from the protos of
// rotki.notifications.v1 a JSON Schema, an AsyncAPI document and TypeScript declarations, and the Go package that holds
// them together with contract.binpb, which `make generate` puts beside them.
//
// Run it with buf's strategy "all". Its one option, version=…, is by default the last part of the package's name.
package main

import (
	"fmt"
	"io"
	"os"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/pluginpb"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "protoc-gen-rotki-contract:", err)
		os.Exit(1)
	}
}

// run answers one request. What is wrong with the protos is part of the answer; an error means that there is none.
func run(in io.Reader, out io.Writer) error {
	raw, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	var request pluginpb.CodeGeneratorRequest
	if err := proto.Unmarshal(raw, &request); err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	response := &pluginpb.CodeGeneratorResponse{
		SupportedFeatures: proto.Uint64(uint64(pluginpb.CodeGeneratorResponse_FEATURE_PROTO3_OPTIONAL)),
	}
	if response.File, err = generate(&request); err != nil {
		response.Error = proto.String(err.Error())
	}
	if raw, err = proto.Marshal(response); err != nil {
		return fmt.Errorf("write the response: %w", err)
	}
	_, err = out.Write(raw)
	return err
}
