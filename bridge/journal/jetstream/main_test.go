package jetstream_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(tests{m}) }

// tests are the package's, and the cluster that they share ends with them.
type tests struct{ *testing.M }

func (t tests) Run() int {
	defer stopShared()
	return t.M.Run()
}
