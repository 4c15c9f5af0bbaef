package bridge

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/rotki/notification-bridge/bridge/contract"
	"github.com/rotki/notification-bridge/bridge/schema"
	gencontract "github.com/rotki/notification-bridge/gen/contract"
)

// contractPath is where the documents of the contract in force are.
const contractPath = "/contract/"

// document is what machines read about a contract.
type document struct {
	name, about, contentType string
	text                     []byte
	etag                     string
}

// documents are those of one contract, the index first.
type documents []document

// builtinDocuments returns the generated documents.
func builtinDocuments(c *contract.Contract) documents {
	return newDocuments(c, gencontract.JSONSchema, gencontract.AsyncAPI, gencontract.TypeScript)
}

// loadedDocuments makes the documents of a contract that was loaded. Their version is the image's sum, so that two that
// differ say so.
func loadedDocuments(c *contract.Contract) documents {
	version := fmt.Sprintf("%.12x", sha256.Sum256(c.Image()))
	return newDocuments(c,
		schema.JSONSchema(c.Contract, version), schema.AsyncAPI(c.Contract, version), schema.TypeScript(c.Contract, version))
}

func newDocuments(c *contract.Contract, jsonSchema, asyncAPI, typeScript []byte) documents {
	const textType = "text/plain; charset=utf-8"
	d := documents{
		{contentType: textType},
		{
			name: "rotki-notifications.schema.json", contentType: "application/schema+json", text: jsonSchema,
			about: "JSON Schema 2020-12 of every envelope",
		},
		{
			name: "asyncapi.json", contentType: "application/vnd.aai.asyncapi+json", text: asyncAPI,
			about: "AsyncAPI 3 document of the websocket",
		},
		{
			name: "rotki-notifications.d.ts", contentType: "application/typescript; charset=utf-8", text: typeScript,
			about: "TypeScript declarations of every envelope",
		},
		{
			name: "contract.binpb", contentType: "application/protobuf", text: c.Image(),
			about: "descriptor image (FileDescriptorSet) for `rotki-bridge serve --contract`, buf and grpcurl",
		},
	}
	var index strings.Builder
	fmt.Fprintf(&index, "The contract of this bridge has %d notification types: %s.\n\n", len(c.Types()), strings.Join(c.Types(), ", "))
	for _, document := range d[1:] {
		fmt.Fprintf(&index, "%s%s\n    %s\n", contractPath, document.name, document.about)
	}
	d[0].text = []byte(index.String())
	for i := range d {
		d[i].etag = fmt.Sprintf(`"%x"`, sha256.Sum256(d[i].text))
	}
	return d
}

// ServeHTTP implements http.Handler for the paths under contractPath.
func (d documents) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "the contract can only be read: GET or HEAD", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, contractPath)
	for _, document := range d {
		if document.name == name {
			w.Header().Set("Content-Type", document.contentType)
			w.Header().Set("ETag", document.etag)
			w.Header().Set("Cache-Control", "no-cache") // a reload may change it
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(document.text))
			return
		}
	}
	http.Error(w, "there is no such document; "+contractPath+" lists them", http.StatusNotFound)
}
