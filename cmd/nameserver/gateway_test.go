package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"farcall.dev"
	"farcall.dev/internal/boot/boottest"
	"farcall.dev/internal/builtin"
	"farcall.dev/xmlrpc"
)

// TestTheWholeMeshIsCalledThroughTheNameserver calls a process by both doors of a
// name server that neither of them has told about the other.
func TestTheWholeMeshIsCalledThroughTheNameserver(t *testing.T) {
	r := boottest.Start(t, program(), nil, free("--dev")...)
	web, at := ready(r)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	mesh, err := farcall.Join(ctx, farcall.Options{NameServers: []string{at}, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer mesh.Close()
	for name, thing := range builtin.Default() {
		register := mesh.Register
		if name != "greeting" {
			register = mesh.RegisterFunc
		}
		if err := register(ctx, name, thing.Value, farcall.RegisterOptions{Docs: thing.Docs}); err != nil {
			t.Fatal(err)
		}
	}

	client, err := xmlrpc.NewClient(web+"/RPC2", xmlrpc.ClientOptions{HTTP: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}})
	if err != nil {
		t.Fatal(err)
	}
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for known := false; !known; { // the name server's watch is not ours
		names, err := client.ListMethods(ctx)
		if err != nil {
			t.Fatal(err)
		}
		all := strings.Join(names, " ") + " "
		known = strings.Contains(all, "add ") && strings.Contains(all, "greeting.get_fortune ")
		if !known {
			<-poll.C
		}
	}
	var text string
	if err := client.Call(ctx, "greeting.get_fortune", &text, "letian"); err != nil || text != "Hello, letian. \n" {
		t.Errorf("got %q, %v", text, err)
	}
	var sum int
	if err := client.Call(ctx, "add", &sum, 3, 4); err != nil || sum != 7 {
		t.Errorf("got %d, %v", sum, err)
	}
	if err := client.Call(ctx, "made.up", nil); err == nil {
		t.Error("a method that is nowhere was called")
	}

	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Post(web+"/v1/call/add", "application/json", strings.NewReader(`{"x": 3, "y": 4}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != "{\"result\":7}\n" {
		t.Errorf("got %s, %v", body, err)
	}
	var doc struct{ OpenAPI string }
	if status, page := get(t, web+"/v1/openapi.json"); status != 200 || json.Unmarshal([]byte(page), &doc) != nil || doc.OpenAPI != "3.1.0" {
		t.Errorf("the OpenAPI document: got %d %s", status, page)
	}
	_, metrics := get(t, web+"/metrics")
	for _, want := range []string{`method="get_fortune",object="greeting",side="client"`, `object="add",side="client"`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if strings.Contains(metrics, "made") {
		t.Error("a stranger has named a metric")
	}
}

// TestAStopLetsCallsFinish stops a name server while somebody calls through it.
func TestAStopLetsCallsFinish(t *testing.T) {
	r := boottest.Start(t, program(), nil, free("--dev")...)
	web, at := ready(r)
	mesh, err := farcall.Join(t.Context(), farcall.Options{NameServers: []string{at}, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer mesh.Close()
	started, finish := make(chan struct{}), make(chan struct{})
	slow := func() string { close(started); <-finish; return "done" }
	if err := mesh.RegisterFunc(t.Context(), "slow", slow, farcall.RegisterOptions{}); err != nil {
		t.Fatal(err)
	}
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for status := 0; status != http.StatusOK; <-poll.C { // the name server's watch is not ours
		status, _ = get(t, web+"/v1/names/slow")
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer := make(chan string, 1)
	go func() {
		resp, err := client.Post(web+"/v1/call/slow", "application/json", nil)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body) // what is missing shows
		answer <- string(body)
	}()
	<-started
	r.Signal(syscall.SIGTERM)
	r.Await(r.Stderr, "msg=stopping")
	for page := ""; !strings.Contains(page, "/readyz tells why"); <-poll.C { // the door is closed
		_, page = get(t, web+"/v1/names")
	}
	close(finish)
	if got := <-answer; got != "{\"result\":\"done\"}\n" {
		t.Errorf("the call under way: got %s", got)
	}
	mesh.Close()
	r.Wait()
}
