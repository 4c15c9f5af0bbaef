package testcert

import (
	"os"
	"path/filepath"
	"testing"
)

// Write puts a file into a directory in one step, readable by its owner only, and returns its path. A file of that name
// is replaced: whoever reads it gets all of the old one or all of the new one.
func Write(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	file, err := os.CreateTemp(dir, name+".*") // with mode 0600
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	if err := os.Rename(file.Name(), path); err != nil {
		t.Fatal(err)
	}
	return path
}

// ServerFiles writes a server's certificate and key to server.pem and server-key.pem and returns their paths. The names
// are as in Options.
func (ca *CA) ServerFiles(t testing.TB, dir string, names ...string) (cert, key string) {
	t.Helper()
	return ca.files(t, dir, "server", Options{Names: names})
}

// ClientFiles writes a client's certificate and key to client.pem and client-key.pem and returns their paths. The names
// are as in Options.
func (ca *CA) ClientFiles(t testing.TB, dir string, names ...string) (cert, key string) {
	t.Helper()
	return ca.files(t, dir, "client", Options{Names: names, Client: true})
}

// File writes the authority's own certificate to a file of that name and returns its path.
func (ca *CA) File(t testing.TB, dir, name string) string {
	t.Helper()
	return Write(t, dir, name, ca.PEM())
}

func (ca *CA) files(t testing.TB, dir, name string, o Options) (cert, key string) {
	t.Helper()
	certPEM, keyPEM := ca.Leaf(t, o)
	return Write(t, dir, name+".pem", certPEM), Write(t, dir, name+"-key.pem", keyPEM)
}
