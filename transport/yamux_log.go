package transport

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/hashicorp/yamux"
)

// yamuxLog passes yamux's lines on: warnings as Debug, since they are about
// frames that crossed, errors as Warn, since the session heals or ends by them.
type yamuxLog struct{ log *slog.Logger }

var _ yamux.Logger = yamuxLog{}

// Print implements yamux.Logger.
func (l yamuxLog) Print(v ...any) { l.line(fmt.Sprint(v...)) }

// Printf implements yamux.Logger.
func (l yamuxLog) Printf(format string, v ...any) { l.line(fmt.Sprintf(format, v...)) }

// Println implements yamux.Logger.
func (l yamuxLog) Println(v ...any) { l.line(fmt.Sprint(v...)) }

func (l yamuxLog) line(text string) {
	level := slog.LevelDebug
	if strings.HasPrefix(text, "[ERR]") {
		level = slog.LevelWarn
	}
	l.log.Log(context.Background(), level, "yamux", "line", text)
}
