package buildinfo

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// version is set by the linker; see the package comment. It is never written
// by the program.
var version string

// Develop is the version of a build that nobody gave one.
const Develop = "devel"

// Info describes one build.
type Info struct {
	// Version is the release, such as "v1.2.3"; [Develop] when there is none.
	Version string
	// Revision is the commit; empty when the build does not know it.
	Revision string
	// Time is when that commit was made; zero when unknown.
	Time time.Time
	// Modified says that the work tree had changes beside the commit.
	Modified bool
	// Go is the version of the Go tool chain, such as "go1.26.0".
	Go string
	// Platform is the operating system and architecture, such as "linux/amd64".
	Platform string
}

// Get returns the description of the running binary.
func Get() Info {
	bi, _ := debug.ReadBuildInfo()
	return describe(version, bi)
}

// String returns one line for people, such as
// "v1.2.3 (commit 1a2b3c4d5e6f, 2026-11-02, go1.26.0, linux/amd64)".
func (i Info) String() string {
	var parts []string
	if i.Revision != "" {
		rev := i.Revision
		if len(rev) > 12 {
			rev = rev[:12]
		}
		if i.Modified {
			rev += " with changes"
		}
		parts = append(parts, "commit "+rev)
	}
	if !i.Time.IsZero() {
		parts = append(parts, i.Time.UTC().Format(time.DateOnly))
	}
	parts = append(parts, i.Go, i.Platform)
	return fmt.Sprintf("%s (%s)", i.Version, strings.Join(parts, ", "))
}

// describe joins what the linker and the Go tool know. bi may be nil.
func describe(linked string, bi *debug.BuildInfo) Info {
	info := Info{
		Version:  linked,
		Go:       runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	if bi != nil {
		if info.Version == "" && bi.Main.Version != "(devel)" {
			info.Version = bi.Main.Version
		}
		for _, s := range bi.Settings {
			switch s.Key {
			case "vcs.revision":
				info.Revision = s.Value
			case "vcs.time":
				info.Time, _ = time.Parse(time.RFC3339, s.Value)
			case "vcs.modified":
				info.Modified = s.Value == "true"
			}
		}
	}
	if info.Version == "" {
		info.Version = Develop
	}
	return info
}
