package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxInput bounds what one @file or standard input may hold: more than any call
// may carry, so that the bound of the call is the one that is met.
const maxInput = 256 << 20

// word is one argument of a call as the command line gives it.
type word struct {
	// text is the argument, or the content of a file or of standard input.
	text string
	// from says where text was read, for messages; empty for the command line.
	from string
	// json says that text is a JSON value, from --json.
	json bool
	// live says that text is yet to be read, from standard input.
	live bool
}

// words reads the arguments of a call: as they are, "@path" from a file, "-"
// from standard input, "@@x" as the text "@x"; or all of them from array, a JSON
// array, which is itself read in the same way. What is on standard input is left
// for later, except in array.
func (a *app) words(ctx context.Context, args []string, array string, given bool) ([]word, error) {
	if !given {
		return a.readAll(args)
	}
	if len(args) > 0 {
		return nil, usagef("leave out one of the two", "--json gives all the arguments, and so does %q", args[0])
	}
	in, err := a.readAll([]string{array})
	if err == nil {
		err = a.readLive(ctx, in)
	}
	if err != nil {
		return nil, err
	}
	var elements []json.RawMessage
	if err := json.Unmarshal([]byte(in[0].text), &elements); err != nil || elements == nil {
		if err == nil {
			err = errors.New("it is null")
		}
		return nil, usagef(`write it like --json '["letian", 42]'`, "--json is not a JSON array: %w", err)
	}
	out := make([]word, len(elements))
	for i, e := range elements {
		out[i] = word{text: string(e), json: true}
	}
	return out, nil
}

// readAll reads what args stand for, but for standard input.
func (a *app) readAll(args []string) ([]word, error) {
	out := make([]word, len(args))
	stdin := false
	for i, arg := range args {
		switch {
		case arg == "-" || arg == "@-":
			if stdin {
				return nil, usagef("write it to a file and give @file as often as you like", "standard input can be read only once, and argument %d asks for it again", i+1)
			}
			stdin = true
			out[i] = word{from: "standard input", live: true}
		case strings.HasPrefix(arg, "@@"):
			out[i] = word{text: arg[1:]}
		case len(arg) > 1 && arg[0] == '@':
			data, err := readFile(arg[1:])
			if err != nil {
				return nil, unreadable(fmt.Sprintf("argument %d", i+1), err)
			}
			out[i] = word{text: string(data), from: arg[1:]}
		default:
			out[i] = word{text: arg}
		}
	}
	return out, nil
}

// readLive reads the word of words that is on standard input, if there is one.
func (a *app) readLive(ctx context.Context, words []word) error {
	for i, w := range words {
		if !w.live {
			continue
		}
		data, err := readContext(ctx, a.opts.Stdin)
		if err != nil {
			return unreadable("standard input", err)
		}
		words[i].text, words[i].live = string(data), false
	}
	return nil
}

// unreadable is the failure to read an argument.
func unreadable(what string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	hint := ""
	if errors.Is(err, os.ErrNotExist) {
		hint = "@ reads a file; for a text that begins with @ write @@"
	}
	return usagef(hint, "read %s: %w", what, err)
}

// readFile reads the file at path, which may not be larger than maxInput.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readBounded(f)
}

// readBounded reads r to its end, and no further than maxInput.
func readBounded(r io.Reader) ([]byte, error) {
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(r, maxInput+1))
	if err == nil && n > maxInput {
		err = fmt.Errorf("it has more than %d MiB", maxInput>>20)
	}
	return b.Bytes(), err
}

// readContext is readBounded, given up when ctx ends. The read itself cannot be
// interrupted: its goroutine then stays until r ends, which for standard input
// is with the process.
func readContext(ctx context.Context, r io.Reader) ([]byte, error) {
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		data, err := readBounded(r)
		done <- result{data, err}
	}()
	select {
	case res := <-done:
		return res.data, res.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
