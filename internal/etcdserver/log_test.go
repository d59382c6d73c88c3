package etcdserver

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/zap"
)

func TestLogKeepsWarningsAndQuietsNews(t *testing.T) {
	var out bytes.Buffer
	closing := make(chan struct{})
	lg := newZap(slog.New(slog.NewTextHandler(&out, nil)), closing).With(zap.String("who", "me"))
	lg.Info("news")
	lg.Warn("simple token is not cryptographically signed")
	lg.Warn("trouble", zap.Int("n", 3), zap.Error(errors.New("why")))
	close(closing)
	lg.Error("a listener was closed")
	got := out.String()
	for _, want := range []string{"level=WARN", "etcd: trouble", "who=me", "n=3", "error=why"} {
		if !strings.Contains(got, want) {
			t.Errorf("log: got %q, want %q in it", got, want)
		}
	}
	if strings.Contains(got, "news") || strings.Contains(got, "simple token") || strings.Contains(got, "listener") {
		t.Errorf("log: got %q, want neither news nor advice nor what closing brings", got)
	}
}

func TestFatalDoesNotEndTheProcess(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("Fatal returned")
		}
	}()
	newZap(slog.New(slog.DiscardHandler), nil).Fatal("the end")
}
