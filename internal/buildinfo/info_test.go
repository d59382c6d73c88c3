package buildinfo

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestDescribePrefersTheLinkedVersion(t *testing.T) {
	vcs := []debug.BuildSetting{
		{Key: "vcs.revision", Value: "1a2b3c4d5e6f708192a3b4c5d6e7f80912345678"},
		{Key: "vcs.time", Value: "2026-11-02T03:04:05Z"},
		{Key: "vcs.modified", Value: "true"},
	}
	platform := runtime.GOOS + "/" + runtime.GOARCH
	for _, tt := range []struct {
		name, linked string
		bi           *debug.BuildInfo
		want         string
	}{
		{"nothing known", "", nil,
			"devel (" + runtime.Version() + ", " + platform + ")"},
		{"work tree", "", &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: vcs},
			"devel (commit 1a2b3c4d5e6f with changes, 2026-11-02, " + runtime.Version() + ", " + platform + ")"},
		{"installed", "", &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}},
			"v1.2.3 (" + runtime.Version() + ", " + platform + ")"},
		{"linked", "v2.0.0", &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}},
			"v2.0.0 (" + runtime.Version() + ", " + platform + ")"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := describe(tt.linked, tt.bi).String(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestGetAlwaysHasAVersion(t *testing.T) {
	got := Get()
	if got.Version == "" || !strings.HasPrefix(got.Go, "go") || got.Platform == "" {
		t.Errorf("got %+v, want a version, a Go version and a platform", got)
	}
}
