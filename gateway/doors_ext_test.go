package gateway_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"farcall.dev"
	"farcall.dev/gateway"
	"farcall.dev/internal/meshtest"
)

func TestDoorsCanBeClosed(t *testing.T) {
	for _, tt := range []struct {
		doors     gateway.Doors
		xml, json bool
	}{
		{gateway.AllDoors, true, true}, {gateway.XMLRPCDoor, true, false}, {gateway.JSONDoor, false, true}, {gateway.NoDoors, false, false},
	} {
		f := &fixture{Mesh: meshtest.New(t), t: t}
		f.one = f.Node("one", func(o *farcall.Options) {
			o.Gateway.Doors = tt.doors
			o.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "mine "+r.URL.Path) })
		})
		whole, err := f.one.Gateway(gateway.Options{Doors: tt.doors})
		f.must(err)
		own := overNetwork(f)
		for path, open := range map[string]bool{"/RPC2": tt.xml, "/v1/": tt.json, "/other": false, "/RPC2/x": false, "/v1": false} {
			mine := get(t, own, path).Body.String() == "mine "+path
			if mine == open {
				t.Errorf("doors %d: %s is the owner's: %t, want %t", tt.doors, path, mine, !open)
			}
			if code := get(t, whole, path).Code; (code == http.StatusOK) != open && path != "/v1" {
				t.Errorf("doors %d: %s of the gateway alone: got %d, want it open: %t", tt.doors, path, code, open)
			}
		}
	}
}

func TestBadOriginsAreRefused(t *testing.T) {
	mesh := meshtest.New(t).Client("client")
	if _, err := mesh.Gateway(gateway.Options{Origins: []string{"console.example"}}); err == nil {
		t.Error("an origin without a scheme was taken")
	}
}

// get gets a page.
func get(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w
}
