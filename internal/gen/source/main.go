package source

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"farcall.dev/internal/gen"
	"farcall.dev/rmi"
)

// Invocation is what the command farcall-gen is started with.
type Invocation struct {
	// Args are the arguments, without the program's name.
	Args []string
	// Stdout and Stderr are where the command writes to.
	Stdout, Stderr io.Writer
	// Dir is the folder that relative paths start from; empty means the current
	// one.
	Dir string
}

// usage is what the command says of itself; the flags follow.
const usage = `farcall-gen writes a typed client for Go types whose methods are called from afar.

Usage:

	//go:generate go tool farcall-gen -type Greeting

	go tool farcall-gen -type TYPE[,TYPE...] [flags] [FOLDER]

It reads the package in FOLDER, by default the current one, and writes
type_farcall.go there. Directives in the comment of a method tell what its
signature does not: //farcall:idempotent, //farcall:oneway, //farcall:oneway taken
and //farcall:skip.

Flags:

`

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// Main is the command farcall-gen. It returns the exit code: 1 when something in
// the source is in the way or, with -check, when a file is out of date; 2 for a
// wrong command line.
func Main(ctx context.Context, inv Invocation) int {
	fs := flag.NewFlagSet("farcall-gen", flag.ContinueOnError)
	fs.SetOutput(inv.Stderr)
	fs.Usage = func() {
		io.WriteString(fs.Output(), usage)
		fs.PrintDefaults()
	}
	list := fs.String("type", "", "the `types` to write clients for, separated by commas")
	out := fs.String("o", "", "the `file` to write; - is standard output (default: the first type in lower case, _farcall.go, in the types' folder)")
	pkg := fs.String("package", "", "the `name` of the package that the file is in (default: that of the types or, in another folder, the folder's)")
	server := fs.Bool("server", true, "write functions that register objects, too")
	check := fs.Bool("check", false, "write nothing; fail when the file is not what would be written")
	switch err := fs.Parse(inv.Args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	}
	wrong := func(text string) int {
		fmt.Fprintf(inv.Stderr, "farcall-gen: %s; see farcall-gen -help\n", text)
		return exitUsage
	}
	types := strings.FieldsFunc(*list, func(r rune) bool { return r == ',' || r == ' ' })
	switch {
	case len(types) == 0:
		return wrong("say which -type to write a client for")
	case fs.NArg() > 1:
		return wrong("the types of one run are in one folder")
	case *check && *out == "-":
		return wrong("-check compares with a file, and -o - names none")
	}
	dir := filepath.Join(inv.Dir, fs.Arg(0))
	file := filepath.Join(dir, strings.ToLower(rmi.SnakeCase(types[0]))+"_farcall.go")
	if *out != "" && *out != "-" {
		file = *out
		if !filepath.IsAbs(file) {
			file = filepath.Join(inv.Dir, file)
		}
	}
	src, err := Generate(ctx, Options{Dir: dir, Types: types, Out: file, Package: *pkg, Server: *server, Base: inv.Dir})
	if err == nil {
		switch {
		case *out == "-":
			_, err = inv.Stdout.Write(src)
		case *check:
			err = compare(file, src)
		default:
			err = replace(file, src)
		}
	}
	if err != nil {
		for _, e := range split(err) {
			fmt.Fprintf(inv.Stderr, "%v\n", e)
		}
		return exitFailed
	}
	return exitOK
}

// Generate returns the source of the client for opts. Its errors are those of
// [Load].
func Generate(ctx context.Context, opts Options) ([]byte, error) {
	f, err := Load(ctx, opts)
	if err != nil {
		return nil, err
	}
	return f.Source()
}

// split returns the errors that are joined in err: editors want each with its
// place on a line of its own. One without a place gets the program's name.
func split(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		if _, placed := errors.AsType[*Problem](err); !placed {
			err = fmt.Errorf("farcall-gen: %w", err)
		}
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, split(e)...)
	}
	return all
}

// compare returns an error unless the file holds src.
func compare(file string, src []byte) error {
	have, err := os.ReadFile(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%s does not exist; run go generate", file)
	case err != nil:
		return err
	case bytes.Equal(have, src):
		return nil
	}
	return fmt.Errorf("%s is out of date; run go generate", file)
}

// replace writes src to the file, unless that holds it or is somebody's own work.
// A reader sees the old file or the new one.
func replace(file string, src []byte) error {
	have, err := os.ReadFile(file)
	switch {
	case err == nil && bytes.Equal(have, src):
		return nil
	case err == nil && !bytes.HasPrefix(have, []byte(gen.Header)):
		return fmt.Errorf("%s was not written by farcall-gen, and is left as it is; name another file with -o", file)
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".farcall-gen-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(src)
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		os.Remove(tmp.Name())
	}
	return err
}
