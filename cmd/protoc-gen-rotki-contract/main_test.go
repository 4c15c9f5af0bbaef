package main

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"

	notificationsv1 "github.com/rotki/notification-bridge/gen/go/rotki/notifications/v1"
)

// protos returns the contract's files, imports first, as protoc hands them to a plugin.
func protos() []*descriptorpb.FileDescriptorProto {
	var files []*descriptorpb.FileDescriptorProto
	seen := make(map[string]bool)
	var add func(protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		if seen[file.Path()] {
			return
		}
		seen[file.Path()] = true
		for i := range file.Imports().Len() {
			add(file.Imports().Get(i).FileDescriptor)
		}
		files = append(files, protodesc.ToFileDescriptorProto(file))
	}
	add(notificationsv1.File_rotki_notifications_v1_notification_service_proto)
	return files
}

func call(t *testing.T, request *pluginpb.CodeGeneratorRequest) *pluginpb.CodeGeneratorResponse {
	t.Helper()
	raw, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run(bytes.NewReader(raw), &out); err != nil {
		t.Fatal(err)
	}
	var response pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(out.Bytes(), &response); err != nil {
		t.Fatal(err)
	}
	return &response
}

func TestGenerate(t *testing.T) {
	for parameter, version := range map[string]string{"": "v1", "version=1.2.3": "1.2.3"} {
		response := call(t, &pluginpb.CodeGeneratorRequest{ProtoFile: protos(), Parameter: proto.String(parameter)})
		if response.Error != nil {
			t.Fatal(response.GetError())
		}
		if response.GetSupportedFeatures()&uint64(pluginpb.CodeGeneratorResponse_FEATURE_PROTO3_OPTIONAL) == 0 {
			t.Error("the plugin does not say that it knows optional fields")
		}
		wants := map[string]string{
			"contract.go":                     "package contract",
			"rotki-notifications.schema.json": `"Contract ` + version + ". ",
			"asyncapi.json":                   `"version": "` + version + `"`,
			"rotki-notifications.d.ts":        "// Contract " + version + ". ",
		}
		if len(response.File) != len(wants) {
			t.Errorf("%d files, want %d", len(response.File), len(wants))
		}
		for _, file := range response.File {
			if want := wants[file.GetName()]; want == "" || !strings.Contains(file.GetContent(), want) {
				t.Errorf("%s does not contain %q", file.GetName(), want)
			}
		}
	}
}

func TestGenerateNamesWhatIsWrong(t *testing.T) {
	broken := protos()
	for _, file := range broken {
		for _, message := range file.MessageType {
			if message.GetName() == "BalanceSnapshotError" {
				message.Field[0].Type = descriptorpb.FieldDescriptorProto_TYPE_BYTES.Enum()
			}
		}
	}
	for _, test := range []struct {
		name    string
		request *pluginpb.CodeGeneratorRequest
		want    string
	}{
		{"no files", &pluginpb.CodeGeneratorRequest{}, "no message rotki.notifications.v1.Notification"},
		{
			"no JSON", &pluginpb.CodeGeneratorRequest{ProtoFile: broken},
			"rotki.notifications.v1.BalanceSnapshotError.location: the wire rules have no JSON",
		},
		{"import missing", &pluginpb.CodeGeneratorRequest{ProtoFile: protos()[1:]}, "descriptor.proto"},
		{"unknown option", &pluginpb.CodeGeneratorRequest{ProtoFile: protos(), Parameter: proto.String("verison=2")}, `"verison=2"`},
	} {
		response := call(t, test.request)
		if !strings.Contains(response.GetError(), test.want) || len(response.File) > 0 {
			t.Errorf("%s: error %q and %d files, want %q and none", test.name, response.GetError(), len(response.File), test.want)
		}
	}
	if err := run(strings.NewReader("no request"), new(bytes.Buffer)); err == nil {
		t.Error("what is no request was answered")
	}
}
