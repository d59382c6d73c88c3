package admin

import (
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"
)

// Options says what a [Server] serves. The zero value serves /healthz and a
// /readyz that is always ready.
type Options struct {
	// Title says whose page this is, such as "nameserver"; Version is shown
	// beside it.
	Title, Version string
	// Checks are the parts that must work for the process to be ready; see
	// [Check].
	Checks []Check
	// CheckTimeout bounds each check. 0 means [DefaultCheckTimeout].
	CheckTimeout time.Duration
	// Metrics serves /metrics; nil leaves it out.
	Metrics http.Handler
	// Profiling serves /debug/pprof/. A profile shows what the process is
	// doing and costs it time, so it is off unless asked for.
	Profiling bool
	// Pages are served beside these and listed with them.
	Pages []Page
	// Logger gets what no client can see; nil discards it.
	Logger *slog.Logger
}

// Page is one more thing to serve.
type Page struct {
	// Path is where, in the syntax of http.ServeMux without a method; Title
	// says what it is, in a few words.
	Path, Title string
	// Handler serves it.
	Handler http.Handler
}

// NewHandler returns the handler of everything that o names, and an index page
// that lists it at /. Requests other than GET and HEAD are refused, except on
// Pages.
func NewHandler(o Options) http.Handler {
	mux := http.NewServeMux()
	get := func(path string, h http.HandlerFunc) { mux.HandleFunc("GET "+path, noStore(h)) }

	index := []Page{
		{Path: "/healthz", Title: "is the process up"},
		{Path: "/readyz", Title: "is it ready, and if not, which part is not (?format=json)"},
	}
	get("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", textType)
		io.WriteString(w, "ok\n")
	})
	get("/readyz", newReadiness(o.Checks, o.CheckTimeout).serve)
	if o.Metrics != nil {
		mux.Handle("GET /metrics", o.Metrics)
		index = append(index, Page{Path: "/metrics", Title: "metrics for Prometheus"})
	}
	if o.Profiling {
		get("/debug/pprof/", pprof.Index)
		get("/debug/pprof/cmdline", pprof.Cmdline)
		get("/debug/pprof/profile", pprof.Profile)
		get("/debug/pprof/symbol", pprof.Symbol)
		get("/debug/pprof/trace", pprof.Trace)
		index = append(index, Page{Path: "/debug/pprof/", Title: "profiles"})
	}
	for _, p := range o.Pages {
		mux.Handle(p.Path, p.Handler)
		index = append(index, p)
	}
	page := indexPage(o, index)
	get("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		io.WriteString(w, page)
	})
	return mux
}

// textType is the content type of plain answers.
const textType = "text/plain; charset=utf-8"

// noStore keeps answers, which are true only now, out of caches, and browsers
// from guessing their type.
func noStore(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		h(w, r)
	}
}

// indexPage writes the page at /.
func indexPage(o Options, pages []Page) string {
	title := strings.TrimSpace(o.Title + " " + o.Version)
	if title == "" {
		title = "farcall"
	}
	title = html.EscapeString(title)
	var b strings.Builder
	fmt.Fprintf(&b, "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>%s</title>\n"+
		"<style>body{font-family:sans-serif;margin:2rem}td{padding:.2rem 1rem .2rem 0}</style></head>\n"+
		"<body>\n<h1>%s</h1>\n<table>\n", title, title)
	for _, p := range pages {
		path := html.EscapeString(p.Path)
		fmt.Fprintf(&b, "<tr><td><a href=\"%s\">%s</a></td><td>%s</td></tr>\n", path, path, html.EscapeString(p.Title))
	}
	b.WriteString("</table>\n</body>\n</html>\n")
	return b.String()
}
