// Package contracttest makes descriptor images for tests: of the contract as it is in proto/, and of what it might become.
package contracttest

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Protos are .proto files by the names under which they are imported.
type Protos map[string]string

// Read returns the .proto files under a directory.
func Read(t testing.TB, dir string) Protos {
	t.Helper()
	p := make(Protos)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".proto" {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		text, err := os.ReadFile(path)
		p[filepath.ToSlash(name)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Edit replaces the one occurrence of old in a file of rotki.notifications.v1.
func (p Protos) Edit(t testing.TB, file, old, replacement string) {
	t.Helper()
	name := "rotki/notifications/v1/" + file
	if strings.Count(p[name], old) != 1 {
		t.Fatalf("%s does not have %q once: bring this test up to date", file, old)
	}
	p[name] = strings.Replace(p[name], old, replacement, 1)
}

// Image compiles the files to a serialized FileDescriptorSet, with all imports and with comments.
func (p Protos) Image(t testing.TB) []byte {
	t.Helper()
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{Accessor: protocompile.SourceAccessorFromMap(p)}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	names := make([]string, 0, len(p))
	for name := range p {
		names = append(names, name)
	}
	files, err := compiler.Compile(t.Context(), names...)
	if err != nil {
		t.Fatalf("compile the test's protos: %v", err)
	}
	set := new(descriptorpb.FileDescriptorSet)
	added := make(map[string]bool)
	var add func(file protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		if added[file.Path()] {
			return
		}
		added[file.Path()] = true
		for i := range file.Imports().Len() {
			add(file.Imports().Get(i).FileDescriptor)
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
	}
	for _, file := range files {
		add(file)
	}
	image, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return image
}
