package main

import (
	_ "embed"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/rotki/notification-bridge/bridge/envelope"
	"github.com/rotki/notification-bridge/bridge/schema"
)

// root is the message that holds every notification type.
const root = "rotki.notifications.v1.Notification"

// goPackage is the generated package that embeds the documents.
//
//go:embed contract.go.txt
var goPackage string

func generate(request *pluginpb.CodeGeneratorRequest) ([]*pluginpb.CodeGeneratorResponse_File, error) {
	files, err := protodesc.NewFiles(&descriptorpb.FileDescriptorSet{File: request.GetProtoFile()})
	if err != nil {
		return nil, fmt.Errorf("read the protos: %w", err)
	}
	found, err := files.FindDescriptorByName(root)
	if err != nil {
		return nil, fmt.Errorf("there is no message %s among the protos: generate all of them at once", root)
	}
	notification, ok := found.(protoreflect.MessageDescriptor)
	if !ok {
		return nil, fmt.Errorf("%s is not a message", root)
	}
	version, err := versionOption(request.GetParameter())
	if err != nil {
		return nil, err
	}
	contract, err := envelope.Compile(notification)
	if err != nil {
		return nil, err
	}
	return []*pluginpb.CodeGeneratorResponse_File{
		file("contract.go", goPackage),
		file("rotki-notifications.schema.json", string(schema.JSONSchema(contract, version))),
		file("asyncapi.json", string(schema.AsyncAPI(contract, version))),
		file("rotki-notifications.d.ts", string(schema.TypeScript(contract, version))),
	}, nil
}

// versionOption reads the plugin's option; without it the version is empty, and the documents name the package's.
func versionOption(parameter string) (string, error) {
	version, ok := strings.CutPrefix(parameter, "version=")
	if parameter != "" && (!ok || version == "") {
		return "", fmt.Errorf("unknown option %q: the only one is version=…", parameter)
	}
	return version, nil
}

func file(name, content string) *pluginpb.CodeGeneratorResponse_File {
	return &pluginpb.CodeGeneratorResponse_File{Name: proto.String(name), Content: proto.String(content)}
}
