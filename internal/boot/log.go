package boot

import (
	"io"
	"log/slog"

	"github.com/spf13/pflag"
)

// Log is how a command logs.
type Log struct {
	// Level is debug, info, warn or error; Format text or json.
	Level, Format string
}

// Flags defines --log-level and --log-format.
func (l *Log) Flags(fs *pflag.FlagSet) {
	fs.StringVar(&l.Level, "log-level", "info", "log what is at least as important: debug, info, warn, error")
	fs.StringVar(&l.Format, "log-format", "text", "how to log: text or json, one record a line")
}

// Logger returns the logger that writes to w, or a [Failure] that says which
// setting is wrong.
func (l *Log) Logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	switch l.Level {
	case "debug", "info", "warn", "error":
		// These are all spellings that UnmarshalText takes.
		_ = level.UnmarshalText([]byte(l.Level))
	default:
		return nil, Usagef("", "--log-level %q is none of debug, info, warn, error", l.Level)
	}
	opts := &slog.HandlerOptions{Level: level}
	switch l.Format {
	case "text":
		return slog.New(slog.NewTextHandler(w, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return nil, Usagef("", "--log-format %q is neither text nor json", l.Format)
}
