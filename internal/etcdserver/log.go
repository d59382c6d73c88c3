package etcdserver

import (
	"context"
	"log/slog"
	"maps"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// newZap returns a zap logger that writes to log. Information becomes Debug,
// since a library's news is not its user's. What etcd calls fatal panics in
// place of ending the process, so that Start can turn it into an error. Once
// closing is closed everything is Debug: etcd reports each listener that it is
// asked to close as a failure.
func newZap(log *slog.Logger, closing <-chan struct{}) *zap.Logger {
	return zap.New(&core{handler: log.Handler(), closing: closing}, zap.WithFatalHook(zapcore.WriteThenPanic))
}

// advice holds warnings that say how etcd should be deployed as a server of its
// own. They are no news to whoever embeds it, and appear at Debug level.
func advice(msg string) bool {
	switch msg {
	case "Running http and grpc server on single port. This is not recommended for production.",
		"simple token is not cryptographically signed",
		"exceeded recommended request limit":
		return true
	}
	return false
}

// core is a zapcore.Core over a slog.Handler.
type core struct {
	handler slog.Handler
	closing <-chan struct{}
	fields  []zapcore.Field
}

var _ zapcore.Core = (*core)(nil)

// Enabled implements zapcore.LevelEnabler.
func (c *core) Enabled(l zapcore.Level) bool {
	return c.handler.Enabled(context.Background(), level(l))
}

// With implements zapcore.Core.
func (c *core) With(fields []zapcore.Field) zapcore.Core {
	all := make([]zapcore.Field, 0, len(c.fields)+len(fields))
	return &core{handler: c.handler, closing: c.closing, fields: append(append(all, c.fields...), fields...)}
}

// Check implements zapcore.Core.
func (c *core) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

// Write implements zapcore.Core.
func (c *core) Write(e zapcore.Entry, fields []zapcore.Field) error {
	l := level(e.Level)
	select {
	case <-c.closing:
		l = slog.LevelDebug
	default:
		if advice(e.Message) {
			l = slog.LevelDebug
		}
	}
	if !c.handler.Enabled(context.Background(), l) {
		return nil
	}
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range c.fields {
		f.AddTo(enc)
	}
	for _, f := range fields {
		f.AddTo(enc)
	}
	r := slog.NewRecord(e.Time, l, "etcd: "+e.Message, e.Caller.PC)
	for k, v := range maps.All(enc.Fields) {
		r.AddAttrs(slog.Any(k, v))
	}
	return c.handler.Handle(context.Background(), r)
}

// Sync implements zapcore.Core; there is nothing to flush.
func (c *core) Sync() error { return nil }

// level maps zap's levels to slog's, one lower up to information.
func level(l zapcore.Level) slog.Level {
	switch {
	case l >= zapcore.ErrorLevel:
		return slog.LevelError
	case l == zapcore.WarnLevel:
		return slog.LevelWarn
	case l == zapcore.InfoLevel:
		return slog.LevelDebug
	}
	return slog.LevelDebug - 4
}
