package xmlrpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"runtime/debug"
)

// A Call is what a [Handler] was asked for, by a request or by one entry of a
// batch. It and what it refers to are for the time of the call: memory is used
// again afterwards.
type Call struct {
	// Method is the name that was asked for.
	Method string
	// Params are the arguments: checked, but not decoded.
	Params []RawValue
	// Document is the methodCall document as it came, and Charset the one that the
	// Content-Type named, if any. Document is nil if the call is from a batch.
	Document []byte
	Charset  string
	// HTTP is the request that it came by. Its body has been read.
	HTTP *http.Request
}

// callKey is the key of the Call in a context.
type callKey struct{}

// CallFrom returns the call that a function serves, from the context that it was
// given; nil if ctx is another.
func CallFrom(ctx context.Context) *Call {
	call, _ := ctx.Value(callKey{}).(*Call)
	return call
}

// A Dispatcher answers calls of methods that a [Handler] does not have itself.
type Dispatcher interface {
	// Dispatch returns the result of a call: any value that can be written, a
	// [RawValue], or a [Document], which is sent as it is. An error is sent as that
	// of a method is; one that is [ErrMethodNotFound] says that there is no such
	// method, and an [*ArgumentError] that the arguments do not fit. Dispatch is
	// called by many goroutines at a time.
	Dispatch(ctx context.Context, call *Call) (any, error)
}

// DispatcherFunc is a function that is a [Dispatcher].
type DispatcherFunc func(ctx context.Context, call *Call) (any, error)

// Dispatch calls f.
func (f DispatcherFunc) Dispatch(ctx context.Context, call *Call) (any, error) { return f(ctx, call) }

var _ Dispatcher = DispatcherFunc(nil)

// A Describer is a [Dispatcher] that tells what it serves, for introspection and
// documentation.
type Describer interface {
	Dispatcher
	// ListMethods returns the names of the methods.
	ListMethods(ctx context.Context) ([]string, error)
	// DescribeMethod tells of one; the error is ErrMethodNotFound if there is none
	// of that name.
	DescribeMethod(ctx context.Context, name string) (MethodInfo, error)
}

// MethodInfo tells of a method.
type MethodInfo struct {
	// Name is what it is called by.
	Name string
	// Help is what it does, in plain text.
	Help string
	// Signatures are the lists of types that it may be called with, each led by
	// that of the result; nil if they are not known.
	Signatures [][]string
}

// A Document is a whole methodResponse document, in UTF-8 or with a declaration
// of its charset.
type Document []byte

// ErrMethodNotFound is what a [*Fault] is, by errors.Is, that says that the
// server does not have the method; and what a [Dispatcher] returns to say so.
var ErrMethodNotFound = errors.New("xmlrpc: no such method")

// TellErrors is for HandlerOptions.Faults: it sends callers the text of each
// error, with CodeApplication. Such texts may tell more than strangers should
// know.
func TellErrors(_ context.Context, _ *Call, err error) *Fault {
	return &Fault{CodeApplication, trimPrefix(err)}
}

// appendResult runs call and appends its response to dst: a document, or, for a
// call of a batch, a value. If there is a fault, what is beyond dst is void.
func (h *Handler) appendResult(dst []byte, ctx context.Context, call *Call) (out []byte, fault *Fault) {
	defer func() {
		if v := recover(); v != nil {
			out, fault = dst, h.panicked(ctx, call, v)
		}
	}()
	m := h.table.Load().methods[call.Method]
	if m != nil && m.batch {
		return h.appendBatch(dst, ctx, call)
	}
	if h.opts.Admit != nil {
		if err := h.opts.Admit(ctx, call); err != nil {
			return dst, h.fault(ctx, call, err)
		}
	}
	var result any
	switch {
	case m != nil:
		result, fault = h.invoke(ctx, m, call)
	case h.opts.Dispatcher != nil:
		result, fault = h.dispatch(ctx, call)
	default:
		fault = noMethod(call.Method)
	}
	if fault != nil {
		return dst, fault
	}
	if call.Document != nil {
		if doc, ok := result.(Document); ok {
			return append(dst, doc...), nil
		}
		out, err := AppendResponse(dst, result, h.opts.Encode)
		return out, encodeFault(err)
	}
	if doc, ok := result.(Document); ok {
		v, err := ParseResponse(doc, h.opts.Decode)
		if f, ok := errors.AsType[*Fault](err); ok {
			return dst, f
		}
		if err != nil || v.IsZero() {
			h.log.LogAttrs(ctx, slog.LevelError, "dispatcher returned no document", slog.String("method", call.Method), slog.Any("error", err))
			return dst, &Fault{CodeInternal, "the answer of the server behind this one cannot be read"}
		}
		result = v
	}
	dst, err := AppendValue(dst, result, h.inBatch)
	return dst, encodeFault(err)
}

// invoke calls a registered method.
func (h *Handler) invoke(ctx context.Context, m *method, call *Call) (any, *Fault) {
	if m.system != nil {
		result, err := m.system(ctx, call)
		if err != nil {
			return nil, h.fault(ctx, call, err)
		}
		return result, nil
	}
	in, err := DecodeArgs(call.Params, m.in, m.variadic)
	if err != nil {
		return nil, &Fault{FaultCode(err), trimPrefix(err)}
	}
	if m.hasContext {
		ctx = context.WithValue(ctx, callKey{}, call)
		in = append([]reflect.Value{reflect.ValueOf(ctx)}, in...)
	}
	out := m.fn.Call(in)
	if m.fails {
		last := len(out) - 1
		if err, _ := out[last].Interface().(error); err != nil {
			return nil, h.fault(ctx, call, err)
		}
		out = out[:last]
	}
	switch len(out) {
	case 0:
		if h.opts.Encode.Dialect == Standard {
			return true, nil // Something there has to be, and nil is not for everybody.
		}
		return nil, nil
	case 1:
		return out[0].Interface(), nil
	}
	results := make([]any, len(out))
	for i, v := range out {
		results[i] = v.Interface()
	}
	return results, nil
}

// dispatch hands the call to the Dispatcher.
func (h *Handler) dispatch(ctx context.Context, call *Call) (any, *Fault) {
	result, err := h.opts.Dispatcher.Dispatch(ctx, call)
	if err == nil {
		return result, nil
	}
	if _, told := errors.AsType[*Fault](err); !told {
		if errors.Is(err, ErrMethodNotFound) {
			return nil, noMethod(call.Method)
		}
		if arg, ok := errors.AsType[*ArgumentError](err); ok {
			return nil, &Fault{CodeInvalidParams, trimPrefix(arg)}
		}
	}
	return nil, h.fault(ctx, call, err)
}

// fault is what the caller is told of the error err of a method.
func (h *Handler) fault(ctx context.Context, call *Call, err error) *Fault {
	if f, ok := errors.AsType[*Fault](err); ok {
		return f
	}
	if h.opts.Faults != nil {
		if f := h.opts.Faults(ctx, call, err); f != nil {
			return f
		}
	}
	if ctx.Err() == nil { // Nobody waits for it otherwise.
		h.log.LogAttrs(ctx, slog.LevelWarn, "method failed", slog.String("method", call.Method), slog.String("peer", call.peer()), slog.Any("error", err))
	}
	return &Fault{CodeApplication, "the method failed"}
}

// panicked logs a panic and is what the caller is told of it.
func (h *Handler) panicked(ctx context.Context, call *Call, v any) *Fault {
	h.log.LogAttrs(ctx, slog.LevelError, "method panicked",
		slog.String("method", call.Method), slog.String("peer", call.peer()),
		slog.String("panic", fmt.Sprint(v)), slog.String("stack", string(debug.Stack())))
	return &Fault{CodeInternal, "the method panicked"}
}

// peer is where the call came from.
func (c *Call) peer() string {
	if c.HTTP == nil {
		return ""
	}
	return c.HTTP.RemoteAddr
}

// noMethod is the fault for a method that is not there.
func noMethod(name string) *Fault {
	return &Fault{CodeMethodNotFound, fmt.Sprintf("no such method: %q", clipText(name, 64))}
}

// encodeFault is the fault for a result that cannot be written.
func encodeFault(err error) *Fault {
	if err == nil {
		return nil
	}
	return &Fault{CodeInternal, "the result cannot be written: " + trimPrefix(err)}
}

// clipText shortens what a stranger chose to what fits in a message.
func clipText(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "…"
}
