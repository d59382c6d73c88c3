package farcall_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestDocsShowCodeThatRuns holds each block of Go in docs/objects.md to be some
// lines of a file that the tests compile.
func TestDocsShowCodeThatRuns(t *testing.T) {
	var code [][]string
	for _, pattern := range []string{"*_test.go", "examples/*/*.go", "internal/gen/source/testdata/shop/shop.go"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: got %d files, %v", pattern, len(names), err)
		}
		for _, name := range names {
			code = append(code, trimmedLines(t, name))
		}
	}
	blocks := 0
	for i, lines := 0, trimmedLines(t, "docs/objects.md"); i < len(lines); i++ {
		if lines[i] != "```go" {
			continue
		}
		n := slices.Index(lines[i:], "```")
		if n < 0 {
			t.Fatalf("docs/objects.md:%d: the block has no end", i+1)
		}
		block := lines[i+1 : i+n]
		if !slices.ContainsFunc(code, func(file []string) bool { return hasRun(file, block) }) {
			t.Errorf("docs/objects.md:%d: no program has these lines:\n%s", i+1, strings.Join(block, "\n"))
		}
		blocks++
		i += n
	}
	if blocks < 20 {
		t.Errorf("got %d blocks of Go in docs/objects.md, want those of every feature", blocks)
	}
}

// trimmedLines returns the lines of a file without indentation.
func trimmedLines(t *testing.T, name string) []string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(data), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return lines
}

// hasRun reports whether lines has the lines of run, one after another.
func hasRun(lines, run []string) bool {
	for i := range len(lines) - len(run) + 1 {
		if slices.Equal(lines[i:i+len(run)], run) {
			return true
		}
	}
	return false
}
