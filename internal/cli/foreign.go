package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"farcall.dev/gateway"
	"farcall.dev/xmlrpc"
)

// foreign is an XML-RPC server somewhere.
type foreign struct {
	transport *http.Transport
	opts      xmlrpc.ClientOptions
	url       string
}

// newForeign returns the server that flags tell of.
func newForeign(flags callFlags) (*foreign, error) {
	dialects := map[string]xmlrpc.Dialect{"standard": xmlrpc.Standard, "plain": xmlrpc.Plain, "apache": xmlrpc.Apache}
	dialect, ok := dialects[flags.dialect]
	if !ok {
		return nil, usagef("the dialects are standard, plain and apache", "there is no dialect %q", flags.dialect)
	}
	f := &foreign{transport: http.DefaultTransport.(*http.Transport).Clone(), url: flags.url}
	f.transport.DisableCompression = true // the client does it itself
	f.opts = xmlrpc.ClientOptions{HTTP: &http.Client{Transport: f.transport}, Encode: xmlrpc.EncodeOptions{Dialect: dialect}}
	if _, err := f.client(nil); err != nil {
		return nil, usagef("write it like --url http://127.0.0.1:8080/RPC2", "--url: %s", trimPackage(err))
	}
	return f, nil
}

// client returns a client of the server, that shows what it does by show.
func (f *foreign) client(show *app) (*xmlrpc.Client, error) {
	opts := f.opts
	if show != nil && show.global.verbose {
		opts.Verbose = show.opts.Stderr
	}
	return xmlrpc.NewClient(f.url, opts)
}

// callForeign calls a method of a server and prints the result.
func (a *app) callForeign(ctx context.Context, cmd *cobra.Command, flags callFlags, method string, args []string, array string, given bool) error {
	for _, flag := range []string{"native", "node", "nameserver"} {
		if cmd.Flags().Changed(flag) {
			return usagef("leave out one of the two", "--%s is about the mesh, and --url goes around it", flag)
		}
	}
	if err := xmlrpc.ValidMethod(method); err != nil {
		return usagef("", "the name of a method: %s", trimPackage(err))
	}
	words, err := a.words(ctx, withoutDashes(args), array, given)
	if err == nil {
		err = a.readLive(ctx, words)
	}
	if err != nil {
		return err
	}
	f, err := newForeign(flags)
	if err != nil {
		return err
	}
	defer f.transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, a.global.timeout)
	defer cancel()
	values, err := f.arguments(ctx, method, words)
	if err != nil {
		return err
	}
	client, err := f.client(a)
	if err != nil {
		return err
	}
	var raw xmlrpc.RawValue
	start := a.opts.Now()
	if err := client.Call(ctx, method, &raw, values...); err != nil {
		return a.foreignFailed(err, client.URL(), method)
	}
	a.verbosef("reply from %s after %s", client.URL(), short(a.opts.Now().Sub(start)))
	v, err := raw.Any()
	if err != nil {
		return &failure{code: ExitInternal, err: fmt.Errorf("result of %s: %s", method, trimPackage(err))}
	}
	return a.emitResult(gateway.Natural(v))
}

// arguments turns words into values: what the server says that the method takes,
// or else what they look like.
func (f *foreign) arguments(ctx context.Context, method string, words []word) ([]any, error) {
	if len(words) == 0 {
		return nil, nil
	}
	client, err := f.client(nil)
	if err != nil {
		return nil, err
	}
	// A server need not know such things; then the call itself shows whether it
	// is there at all.
	signatures, err := client.MethodSignature(ctx, method)
	if err != nil {
		return guess(words), nil
	}
	var misfit error
	for _, sig := range signatures {
		if len(sig) != len(words)+1 {
			continue
		}
		values, err := fitted(sig[1:], words)
		if err == nil {
			return values, nil
		}
		misfit = usagef(fmt.Sprintf("%s(%s) -> %s", method, strings.Join(sig[1:], ", "), sig[0]), "%s: %w", method, err)
	}
	if misfit != nil {
		return nil, misfit
	}
	return guess(words), nil
}

// fitted turns words into values of types, which are named as by
// system.methodSignature.
func fitted(types []string, words []word) ([]any, error) {
	values := make([]any, len(words))
	for i, w := range words {
		var err error
		if values[i], err = w.value(gateway.TypeOf(types[i])); err != nil {
			return nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
	}
	return values, nil
}

// foreignFailed puts a failed call of a server into words.
func (a *app) foreignFailed(err error, url, method string) error {
	f := &failure{code: ExitUnavailable, err: fmt.Errorf("%s at %s: %s", method, url, trimPackage(err))}
	fault, isFault := errors.AsType[*xmlrpc.Fault](err)
	status, isStatus := errors.AsType[*xmlrpc.HTTPError](err)
	response, isResponse := errors.AsType[*xmlrpc.ResponseError](err)
	limit, isLimit := errors.AsType[*xmlrpc.LimitError](err)
	value, isValue := errors.AsType[*xmlrpc.UnsupportedValueError](err)
	netErr, isNet := errors.AsType[net.Error](err)
	switch {
	case isFault:
		f.code = exitOf(gateway.CodeOfFault(fault.Code))
		f.err = fmt.Errorf("%s at %s: fault %d: %s", method, url, fault.Code, fault.String)
		if errors.Is(err, xmlrpc.ErrMethodNotFound) {
			f.code = ExitNotFound
			f.hint = "client call --url " + url + " system.listMethods shows the methods, if the server tells"
		}
	case isStatus:
		f.code = exitOf(gateway.CodeOfStatus(status.Status))
		f.err = errors.New(trimPackage(err))
	case isResponse:
		f.code, f.err = ExitInternal, errors.New(trimPackage(response))
	case isLimit:
		f.code, f.err = ExitExhausted, fmt.Errorf("result of %s: %s", method, trimPackage(limit))
	case isValue:
		f.code, f.err = ExitUsage, fmt.Errorf("arguments of %s: %s", method, trimPackage(value))
		f.hint = "--dialect plain or apache sends integers beyond 32 bits and null, to servers that read them"
	case errors.Is(err, context.Canceled):
		f.code = ExitCanceled
	case errors.Is(err, context.DeadlineExceeded), isNet && netErr.Timeout():
		f.code, f.hint = ExitDeadline, "allow more time with --timeout; it was "+a.global.timeout.String()
	}
	return f
}

// trimPackage returns the text of err without the name of the package it is from.
func trimPackage(err error) string { return strings.TrimPrefix(err.Error(), "xmlrpc: ") }

// completeForeign completes the methods of a server that lists them.
func (a *app) completeForeign(cmd *cobra.Command, flags callFlags, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 || a.global.settle(cmd, a.opts.Getenv) != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	f, err := newForeign(flags)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer f.transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(cmd.Context(), min(a.global.timeout, completeTimeout))
	defer cancel()
	client, err := f.client(nil)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names, _ := client.ListMethods(ctx) // a message would land in the line that is typed
	var out []cobra.Completion
	for _, n := range names {
		if strings.HasPrefix(n, prefix) {
			out = append(out, n)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
