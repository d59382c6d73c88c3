package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// ask returns the status and body that h answers a GET of path with.
func ask(t *testing.T, h http.Handler, path string, header ...string) (int, string) {
	t.Helper()
	req := httptest.NewRequest(http.MethodGet, path, nil)
	if len(header) == 2 {
		req.Header.Set(header[0], header[1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return rec.Code, rec.Body.String()
}

func TestHealthzIsUpEvenWhenNothingIsReady(t *testing.T) {
	h := NewHandler(Options{Checks: []Check{{"etcd", func(context.Context) error { return errors.New("no leader") }}}})
	status, body := ask(t, h, "/healthz")
	if status != 200 || body != "ok\n" {
		t.Errorf("got %d %q, want 200 %q", status, body, "ok\n")
	}
}

func TestReadyzNamesEachPart(t *testing.T) {
	fine := func(context.Context) error { return nil }
	for _, tt := range []struct {
		name   string
		checks []Check
		status int
		text   string
		report Report
	}{
		{"no checks", nil, 200, "ready\n", Report{Ready: true, Parts: []Part{}}},
		{"all ready", []Check{{"etcd", fine}, {"registry", fine}}, 200,
			"ready\netcd: ready\nregistry: ready\n",
			Report{Ready: true, Parts: []Part{{Name: "etcd", Ready: true}, {Name: "registry", Ready: true}}}},
		{"one not", []Check{{"etcd", fine}, {"registry", func(context.Context) error { return errors.New("out of touch\nfor 3s") }}}, 503,
			"not ready\netcd: ready\nregistry: not ready: out of touch for 3s\n",
			Report{Parts: []Part{{Name: "etcd", Ready: true}, {Name: "registry", Reason: "out of touch\nfor 3s"}}}},
		{"a panic", []Check{{"etcd", func(context.Context) error { panic("boom") }}}, 503,
			"not ready\netcd: not ready: the check panicked: boom\n",
			Report{Parts: []Part{{Name: "etcd", Reason: "the check panicked: boom"}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := NewHandler(Options{Checks: tt.checks})
			if status, body := ask(t, h, "/readyz"); status != tt.status || body != tt.text {
				t.Errorf("text: got %d %q, want %d %q", status, body, tt.status, tt.text)
			}
			for _, how := range [][]string{{"/readyz?format=json"}, {"/readyz", "Accept", "application/json"}} {
				status, body := ask(t, h, how[0], how[1:]...)
				var got Report
				if err := json.Unmarshal([]byte(body), &got); err != nil {
					t.Fatalf("%v: %v in %q", how, err, body)
				}
				if diff := cmp.Diff(tt.report, got); status != tt.status || diff != "" {
					t.Errorf("%v: got status %d, want %d; report (-want +got):\n%s", how, status, tt.status, diff)
				}
			}
		})
	}
}

func TestCheckThatHangsCountsAsNotReadyAndIsNotStartedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var runs atomic.Int32
		h := NewHandler(Options{CheckTimeout: time.Second, Checks: []Check{{"etcd", func(context.Context) error {
			runs.Add(1)
			<-release
			return nil
		}}}})
		const want = "not ready\netcd: not ready: no answer for 1s\n"
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if status, body := ask(t, h, "/readyz"); status != 503 || body != want {
					t.Errorf("got %d %q, want 503 %q", status, body, want)
				}
			})
		}
		wg.Wait()
		if _, body := ask(t, h, "/readyz"); !strings.Contains(body, "no answer for 2s") {
			t.Errorf("asked again: got %q, want the age of the run that hangs", body)
		}
		if got := runs.Load(); got != 1 {
			t.Errorf("runs of a check that hangs: got %d, want 1", got)
		}
		close(release)
		synctest.Wait()
		if status, _ := ask(t, h, "/readyz"); status != 200 {
			t.Errorf("after it returned: got %d, want 200", status)
		}
	})
}

func TestCheckThatHeedsItsDeadlineSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHandler(Options{CheckTimeout: time.Second, Checks: []Check{{"etcd", func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}}}})
		status, body := ask(t, h, "/readyz")
		if status != 503 || !strings.Contains(body, "etcd: not ready: no answer") {
			t.Errorf("got %d %q, want 503 and that etcd gave no answer", status, body)
		}
		synctest.Wait()
	})
}

func TestAskerWhoLeavesDoesNotFailTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		h := NewHandler(Options{CheckTimeout: time.Second, Checks: []Check{{"etcd", func(ctx context.Context) error {
			select {
			case <-release:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}}})
		ctx, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/readyz", nil))
		})
		synctest.Wait()
		wg.Go(func() {
			if status, body := ask(t, h, "/readyz"); status != 200 {
				t.Errorf("the one who stayed: got %d %q, want 200", status, body)
			}
		})
		synctest.Wait()
		leave()
		synctest.Wait()
		close(release)
		wg.Wait()
	})
}

func TestPagesAreServedAndListed(t *testing.T) {
	text := func(s string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, s) })
	}
	h := NewHandler(Options{
		Title: "name<server>", Version: "v1", Metrics: text("numbers"), Profiling: true,
		Pages: []Page{{Path: "/extra", Title: "one more", Handler: text("extra")}},
	})
	_, index := ask(t, h, "/")
	for _, want := range []string{"name&lt;server&gt; v1", `href="/healthz"`, `href="/readyz"`, `href="/metrics"`, `href="/debug/pprof/"`, `href="/extra"`, "one more"} {
		if !strings.Contains(index, want) {
			t.Errorf("the index lacks %q:\n%s", want, index)
		}
	}
	for path, want := range map[string]string{"/metrics": "numbers", "/extra": "extra", "/debug/pprof/cmdline": "admin.test"} {
		if status, body := ask(t, h, path); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: got %d %.60q, want 200 and %q", path, status, body, want)
		}
	}
}

func TestProfilesAreOffUnlessAskedFor(t *testing.T) {
	h := NewHandler(Options{})
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/heap", "/metrics", "/nothing"} {
		if status, _ := ask(t, h, path); status != 404 {
			t.Errorf("%s: got %d, want 404", path, status)
		}
	}
	if _, index := ask(t, h, "/"); strings.Contains(index, "pprof") {
		t.Errorf("the index lists profiles:\n%s", index)
	}
}

func TestOtherMethodsAreRefused(t *testing.T) {
	h := NewHandler(Options{Metrics: http.NotFoundHandler(), Profiling: true})
	for _, path := range []string{"/", "/healthz", "/readyz", "/metrics", "/debug/pprof/profile"} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodPost, path, strings.NewReader("x")))
		if rec.Code != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: got %d, want %d", path, rec.Code, http.StatusMethodNotAllowed)
		}
	}
}
