//go:build e2e

package e2e

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// standinLabel marks an image as made here, from this machine's files.
const standinLabel = "dev.farcall.standin"

// goImage returns an image that the Dockerfile can build in: $GO_IMAGE, or a
// stand-in for golang:alpine that holds this machine's Go, busybox, and a file
// system module proxy with exactly the modules that go.mod names.
func goImage(t *testing.T) string {
	t.Helper()
	if image := os.Getenv("GO_IMAGE"); image != "" {
		return image
	}
	modules := moduleFiles(t)
	key := []string{runtime.Version()}
	for _, m := range modules {
		key = append(key, m.name)
	}
	goroot := strings.TrimSpace(commandOutput(t, "go", "env", "GOROOT"))
	return standin(t, "go", key, func(w *layer) {
		for _, dir := range []string{"bin", "pkg", "src"} {
			w.tree(filepath.Join(goroot, dir), "usr/local/go/"+dir)
		}
		w.file(filepath.Join(goroot, "VERSION"), "usr/local/go/VERSION")
		w.file(filepath.Join(goroot, "go.env"), "usr/local/go/go.env")
		w.file("/etc/ssl/certs/ca-certificates.crt", "etc/ssl/certs/ca-certificates.crt")
		w.busybox()
		for _, m := range modules {
			w.file(m.path, "goproxy/"+m.name)
		}
		w.dir("tmp", 0, 0o1777)
		w.dir("root", 0, 0o700)
	},
		"ENV PATH=/usr/local/go/bin:/bin GOPATH=/go GOTOOLCHAIN=local GOPROXY=file:///goproxy GOSUMDB=off",
	)
}

// prometheusImage returns an image that can take the place of Prometheus's own:
// $PROMETHEUS_IMAGE, or a stand-in that holds this machine's prometheus (make
// e2e fetches Debian's), the libraries that it loads, and busybox.
func prometheusImage(t *testing.T) string {
	t.Helper()
	if image := os.Getenv("PROMETHEUS_IMAGE"); image != "" {
		return image
	}
	binary := lookPath(t, "prometheus")
	version := run(t, commandTimeout, nil, nil, binary, "--version")
	libs := libraries(t, binary)
	return standin(t, "prometheus", []string{version.stdout, version.stderr}, func(w *layer) {
		w.file(binary, "bin/prometheus")
		for _, lib := range libs {
			w.file(lib, strings.TrimPrefix(lib, "/"))
		}
		w.busybox()
		w.dir("prometheus", 65534, 0o755)
		w.dir("tmp", 0, 0o1777)
	},
		"ENV PATH=/bin",
		"USER 65534:65534",
		"WORKDIR /prometheus",
		`ENTRYPOINT ["/bin/prometheus"]`,
	)
}

// standin returns the image farcall-standin/NAME for the given key, which tells
// its content; it is made by fill and the Dockerfile lines only where the
// engine does not have it yet, and then takes the place of an older one.
func standin(t *testing.T, name string, key []string, fill func(*layer), lines ...string) string {
	t.Helper()
	sum := sha256.Sum256([]byte(strings.Join(append(key, lines...), "\n")))
	image := "farcall-standin/" + name + ":" + hex.EncodeToString(sum[:6])
	if run(t, commandTimeout, nil, nil, "docker", "image", "inspect", image).err == nil {
		t.Logf("%s: taken from the engine; it stands in for the public image", image)
		return image
	}
	started := time.Now()
	pr, pw := io.Pipe()
	var writer sync.WaitGroup
	writer.Go(func() {
		w := &layer{tar: tar.NewWriter(pw), seen: map[string]bool{}}
		fill(w)
		if w.err == nil {
			w.err = w.tar.Close()
		}
		pw.CloseWithError(w.err)
	})
	args := []string{"import", "--change", "LABEL " + standinLabel + "=" + name}
	for _, l := range lines {
		args = append(args, "--change", l)
	}
	r := run(t, 10*time.Minute, nil, pr, "docker", append(args, "-", image)...)
	pr.Close()
	writer.Wait()
	if r.err != nil {
		// The engine may have taken half of it for the whole.
		run(t, commandTimeout, nil, nil, "docker", "image", "rm", image)
		t.Fatalf("make %s: %s", image, r)
	}
	t.Logf("%s: made in %v; it stands in for the public image", image, time.Since(started).Round(time.Second))
	for old := range strings.FieldsSeq(docker(t, "image", "ls", "farcall-standin/"+name, "--format", "{{.Repository}}:{{.Tag}}")) {
		if old != image {
			run(t, commandTimeout, nil, nil, "docker", "image", "rm", old)
		}
	}
	return image
}

// moduleFile is one file of the module cache and its name under a module proxy.
type moduleFile struct{ path, name string }

// moduleFiles returns the files that a module proxy has to serve for go.mod: all
// of each module that is built with, and the go.mod of each that was weighed.
func moduleFiles(t *testing.T) []moduleFile {
	t.Helper()
	cache := filepath.Join(strings.TrimSpace(commandOutput(t, "go", "env", "GOMODCACHE")), "cache", "download")
	names := map[string]bool{}
	decoder := json.NewDecoder(strings.NewReader(commandOutput(t, "go", "mod", "download", "-json")))
	for {
		var m struct{ Info, GoMod, Zip string }
		err := decoder.Decode(&m)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("read the list of modules: %v", err)
		}
		for _, p := range []string{m.Info, m.GoMod, m.Zip} {
			rel, err := filepath.Rel(cache, p)
			if err != nil || p == "" {
				t.Fatalf("module file %q is not in the cache %s", p, cache)
			}
			names[filepath.ToSlash(rel)] = true
		}
	}
	for module := range strings.FieldsSeq(commandOutput(t, "go", "mod", "graph")) {
		m, version, _ := strings.Cut(module, "@")
		name := escape(m) + "/@v/" + escape(version) + ".mod"
		// What go did not have to look at is not in the cache.
		if _, err := os.Stat(filepath.Join(cache, filepath.FromSlash(name))); err == nil {
			names[name] = true
		}
	}
	var files []moduleFile
	for _, name := range slices.Sorted(maps.Keys(names)) {
		files = append(files, moduleFile{filepath.Join(cache, filepath.FromSlash(name)), name})
	}
	return files
}

// escape writes a module's path or version as proxies and the cache do: an
// upper-case letter as an exclamation mark and the lower-case one.
func escape(s string) string {
	return upper.ReplaceAllStringFunc(s, func(u string) string { return "!" + strings.ToLower(u) })
}

// upper is one upper-case letter.
var upper = regexp.MustCompile(`[A-Z]`)

// library is a line of ldd's that names a file.
var library = regexp.MustCompile(`(/\S+) \(0x`)

// libraries returns the files that the dynamic linker loads for binary, the
// linker itself included.
func libraries(t *testing.T, binary string) []string {
	t.Helper()
	r := run(t, commandTimeout, nil, nil, "ldd", binary)
	var libs []string
	for line := range strings.Lines(r.stdout) {
		if m := library.FindStringSubmatch(line); m != nil {
			libs = append(libs, m[1])
		}
	}
	return libs
}

// commandOutput runs a command that must succeed.
func commandOutput(t *testing.T, name string, args ...string) string {
	t.Helper()
	r := run(t, 10*time.Minute, nil, nil, name, args...)
	if r.err != nil {
		t.Fatalf("%s %s: %s", name, strings.Join(args, " "), r)
	}
	return r.stdout
}

// lookPath finds a program that scripts/need.sh should have fetched.
func lookPath(t *testing.T, name string) string {
	t.Helper()
	p, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: `make e2e` fetches it", err)
	}
	if p, err = filepath.Abs(p); err != nil {
		t.Fatal(err)
	}
	return p
}

// layer writes the file system of an image. After the first error it does
// nothing more.
type layer struct {
	tar  *tar.Writer
	seen map[string]bool
	err  error
}

// tree adds the folder at from, and what is below it, as to.
func (w *layer) tree(from, to string) {
	w.note(filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		w.file(p, path.Join(to, filepath.ToSlash(rel)))
		return w.err
	}))
}

// file adds the file at from as to, following symbolic links.
func (w *layer) file(from, to string) {
	if w.err != nil {
		return
	}
	f, err := os.Open(from)
	if err != nil {
		w.note(err)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		w.note(err)
		return
	}
	w.parents(to)
	w.header(&tar.Header{Typeflag: tar.TypeReg, Name: to, Size: info.Size(), Mode: int64(info.Mode().Perm() | 0o444), ModTime: info.ModTime()})
	_, err = io.Copy(w.tar, bufio.NewReaderSize(f, 1<<20))
	w.note(err)
}

// busybox adds a static busybox, and its tools as links to it.
func (w *layer) busybox() {
	binary, err := exec.LookPath("busybox")
	if err != nil {
		w.note(fmt.Errorf("%w: `make e2e` fetches it", err))
		return
	}
	w.file(binary, "bin/busybox")
	list, err := exec.Command(binary, "--list").Output()
	w.note(err)
	for tool := range bytes.FieldsSeq(list) {
		name := "bin/" + string(tool)
		if !w.seen[name] {
			w.header(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: "busybox", Mode: 0o777})
		}
	}
}

// dir adds a folder that belongs to the user owner.
func (w *layer) dir(name string, owner int, mode int64) {
	w.parents(name)
	w.header(&tar.Header{Typeflag: tar.TypeDir, Name: name, Uid: owner, Gid: owner, Mode: mode})
}

// parents adds the folders above name that are not there yet.
func (w *layer) parents(name string) {
	var missing []string
	for d := path.Dir(name); d != "." && !w.seen[d]; d = path.Dir(d) {
		missing = append(missing, d)
	}
	for _, d := range slices.Backward(missing) {
		w.header(&tar.Header{Typeflag: tar.TypeDir, Name: d, Mode: 0o755})
	}
}

// header writes h, whose name is new.
func (w *layer) header(h *tar.Header) {
	if w.err != nil || w.seen[h.Name] {
		return
	}
	w.seen[h.Name] = true
	w.note(w.tar.WriteHeader(h))
}

// note keeps the first error.
func (w *layer) note(err error) {
	if w.err == nil && err != nil {
		w.err = err
	}
}
