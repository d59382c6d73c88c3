package admin

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// net/http lingers for half a second on a connection that it refuses, and
		// its Close does not wait for that.
		goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}
