package contract

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

const (
	protoPackage     = "rotki.notifications.v1"
	notificationName = protoPackage + ".Notification"
)

// makeImage says how an image is made.
const makeImage = "make one with `buf build -o FILE.binpb` or `protoc --include_imports --include_source_info --descriptor_set_out=FILE.binpb`"

// Read loads the contract from a file.
func Read(path string) (*Contract, error) {
	image, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := Load(image)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// Load compiles the contract in a descriptor image: a serialized FileDescriptorSet with all imports, which is what
// buf build makes too. The caller must not modify image afterwards.
func Load(image []byte) (*Contract, error) {
	set := new(descriptorpb.FileDescriptorSet)
	if err := proto.Unmarshal(image, set); err != nil || len(set.GetFile()) == 0 {
		return nil, errors.New("is no descriptor image: " + makeImage)
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, fmt.Errorf("is no whole descriptor image: %w; %s", err, makeImage)
	}
	found, err := files.FindDescriptorByName(notificationName)
	if err != nil {
		return nil, fmt.Errorf("the image has no message %s", notificationName)
	}
	notification, ok := found.(protoreflect.MessageDescriptor)
	if !ok {
		return nil, fmt.Errorf("%s is no message in the image", notificationName)
	}
	if err := checkWireOptions(files); err != nil {
		return nil, err
	}
	return compile(notification, image)
}

// checkWireOptions refuses wire options that this bridge does not know, or knows otherwise: it would pass over them
// and write other JSON than the contract means. Options of other packages say nothing about JSON.
func checkWireOptions(files *protoregistry.Files) error {
	var refused error
	files.RangeFilesByPackage(protoPackage, func(file protoreflect.FileDescriptor) bool {
		refused = checkOptionsIn(file)
		return refused == nil
	})
	return refused
}

// extender is a file, or a message, which may declare options too.
type extender interface {
	Extensions() protoreflect.ExtensionDescriptors
	Messages() protoreflect.MessageDescriptors
}

func checkOptionsIn(in extender) error {
	for i := range in.Extensions().Len() {
		option := in.Extensions().Get(i)
		extended := option.ContainingMessage().FullName()
		if !strings.HasPrefix(string(extended), "google.protobuf.") {
			continue
		}
		known, err := protoregistry.GlobalTypes.FindExtensionByNumber(extended, option.Number())
		if err != nil || known.TypeDescriptor().FullName() != option.FullName() ||
			known.TypeDescriptor().Kind() != option.Kind() || known.TypeDescriptor().Cardinality() != option.Cardinality() {
			return fmt.Errorf("%s: this bridge does not know that wire option: update the bridge", short(option))
		}
	}
	for i := range in.Messages().Len() {
		if err := checkOptionsIn(in.Messages().Get(i)); err != nil {
			return err
		}
	}
	return nil
}

// short returns an element's name without the contract's package.
func short(d protoreflect.Descriptor) string {
	return strings.TrimPrefix(string(d.FullName()), protoPackage+".")
}
