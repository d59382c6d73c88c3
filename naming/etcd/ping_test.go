package etcd

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"farcall.dev/naming"
)

func TestPing(t *testing.T) {
	w := newWorld(t)
	if err := w.open().Ping(w.context()); err != nil {
		t.Fatal(err)
	}
}

// unreachable checks that Ping, Register and Watch with o say what is wrong.
func unreachable(t *testing.T, o Options, wants ...string) {
	t.Helper()
	r := openRegistry(t, o)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := r.Ping(ctx)
	u, ok := errors.AsType[*UnavailableError](err)
	if !ok || !errors.Is(err, naming.ErrUnavailable) {
		t.Fatalf("ping: got %v, want an UnavailableError", err)
	}
	if len(u.Endpoints) == 0 || !strings.Contains(err.Error(), u.Endpoints[0]) {
		t.Errorf("ping: %q does not name the endpoint", err)
	}
	for _, want := range wants {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("ping: got %q, want %q in it", err, want)
		}
	}
	short, stop := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer stop()
	if err := r.Register(short, inst("n", "a", naming.ModeShared)); !errors.Is(err, naming.ErrUnavailable) ||
		!strings.Contains(err.Error(), u.Endpoints[0]) {
		t.Errorf("register: got %v, want ErrUnavailable with the endpoint", err)
	}
	until(t, "no record after a failed Register", func() bool { return r.Status().Records == 0 })
	if err := view(t, r, "").untilErr(); err == nil || err.Error() == "" {
		t.Errorf("watch: got %v, want an error", err)
	}
}

func TestNothingListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	unreachable(t, Options{Endpoints: []string{addr}}, "refused", "check that etcd runs there")
}

func TestUnknownHost(t *testing.T) {
	unreachable(t, Options{Endpoints: []string{"no-such-host.invalid:2379"}}, "check the host's name")
}

func TestHTTPServerInsteadOfEtcd(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	unreachable(t, Options{Endpoints: []string{s.URL}}, "is an HTTP server, but no etcd")
}

func TestTLSServerWithoutTLS(t *testing.T) {
	unreachable(t, Options{Endpoints: []string{tlsServer(t).Listener.Addr().String()}}, "speaks TLS: use https")
}

func TestTLSToPlainEtcd(t *testing.T) {
	w := newWorld(t)
	unreachable(t, Options{Endpoints: []string{"https://" + endpoint(w.server)}}, "does not speak TLS")
}

func TestUnknownCertificate(t *testing.T) {
	unreachable(t, Options{Endpoints: []string{tlsServer(t).URL}}, "certificate", "check the certificates")
}

// tlsServer returns an HTTPS server that is no etcd.
func tlsServer(t *testing.T) *httptest.Server {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func TestSilentServer(t *testing.T) {
	t.Parallel() // it mostly waits
	w := newWorld(t)
	w.proxy.swallow()
	r := w.open()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := r.Ping(ctx); !errors.Is(err, naming.ErrUnavailable) {
		t.Errorf("ping: got %v, want ErrUnavailable", err)
	}
	w.proxy.mend(t)
	if err := r.Ping(w.context()); err != nil {
		t.Errorf("ping after the silence: %v", err)
	}
}

func TestPassword(t *testing.T) {
	w := newWorldOn(t, startEtcd(t, devOptions()))
	ctx := w.context()
	for _, do := range []func() error{
		func() error { _, err := w.client.UserAdd(ctx, "root", "secret"); return err },
		func() error { _, err := w.client.UserGrantRole(ctx, "root", "root"); return err },
		func() error { _, err := w.client.UserAdd(ctx, "mesh", "word"); return err },
		func() error { _, err := w.client.RoleAdd(ctx, "mesh"); return err },
		func() error {
			_, err := w.client.RoleGrantPermission(ctx, "mesh", w.keys.prefix, rangeEnd(w.keys.prefix),
				clientv3.PermissionType(clientv3.PermReadWrite))
			return err
		},
		func() error { _, err := w.client.UserGrantRole(ctx, "mesh", "mesh"); return err },
		func() error { _, err := w.client.AuthEnable(ctx); return err },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	o := Options{Endpoints: []string{w.proxy.addr}, Prefix: w.keys.prefix, TTL: testTTL, Logger: testLog(t)}
	with := func(user, password, prefix string) Options {
		o := o
		o.Username, o.Password, o.Prefix = user, password, prefix
		return o
	}
	unreachable(t, o, "wants a user name and a password")
	unreachable(t, with("mesh", "wrong", o.Prefix), "check the user name and the password")
	unreachable(t, with("mesh", "word", "/elsewhere/"), "give the user a role")

	r := openRegistry(t, with("mesh", "word", o.Prefix))
	if err := r.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	w.register(r, inst("n", "a", naming.ModeStandby))
	v := view(t, r, "")
	v.untilIs("n@a:live")

	// A refusal that will not go away is told at once, not when ctx ends.
	if err := openRegistry(t, with("mesh", "wrong", o.Prefix)).Register(ctx, inst("m", "b", naming.ModeShared)); !errors.Is(err, naming.ErrUnavailable) {
		t.Errorf("register with a wrong password: got %v, want ErrUnavailable", err)
	}
	if ctx.Err() != nil {
		t.Error("register with a wrong password waited until its context ended")
	}
}

func TestPasswordOutlivesItsTokens(t *testing.T) {
	e := newRestartable(t)
	w := newWorldOn(t, e.server)
	ctx := w.context()
	for _, do := range []func() error{
		func() error { _, err := w.client.UserAdd(ctx, "root", "secret"); return err },
		func() error { _, err := w.client.UserGrantRole(ctx, "root", "root"); return err },
		func() error { _, err := w.client.AuthEnable(ctx); return err },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	o := Options{Endpoints: []string{w.proxy.addr}, Prefix: w.keys.prefix, TTL: testTTL, Logger: testLog(t), Username: "root", Password: "secret"}
	r := openRegistry(t, o)
	w.register(r, inst("n", "a", naming.ModeShared))
	v := view(t, openRegistry(t, o), "")
	v.untilIs("n@a:live")
	// etcd keeps tokens in memory: after this it knows none of those it gave.
	e.server.Close()
	v.untilErr()
	e.start()
	v.untilIs("n@a:live")
	w.register(r, inst("m", "a", naming.ModeShared))
	v.untilIs("m@a:live n@a:live")
	until(t, "live", func() bool { return r.Status().State == naming.StatusLive })
}
