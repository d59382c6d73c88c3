package daemonconf

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestServersAreAttached(t *testing.T) {
	got, err := Parse([]byte(Example), "x")
	if err != nil {
		t.Fatal(err)
	}
	want := []Attachment{{
		Name: "legacy", URL: "xmlrpc+http://127.0.0.1:8080/RPC2", Methods: []string{"pow", "sample.add"}, Dialect: "standard", Timeout: 10 * time.Second,
		Health: Health{Method: "system.listMethods", Interval: 5 * time.Second, Timeout: 2 * time.Second, Failures: 2, Successes: 1},
	}}
	if diff := cmp.Diff(want, got.Attach); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got, err = Parse([]byte("attach: [{name: a, url: 'xmlrpc+https://h/x', mode: exclusive, tags: [t], weight: 7, version: 1.10}]"), "x")
	if err != nil {
		t.Fatal(err)
	}
	want = []Attachment{{Name: "a", URL: "xmlrpc+https://h/x", Mode: "exclusive", Tags: []string{"t"}, Weight: 7, Version: "1.10"}}
	if diff := cmp.Diff(want, got.Attach); diff != "" || len(got.Entries) > 0 {
		t.Errorf("(-want +got):\n%s and %v", diff, got.Entries)
	}
}

func TestBadAttachmentsAreRefused(t *testing.T) {
	url := "xmlrpc+http://h:1/"
	for data, want := range map[string]string{
		"{name: a}":                                            "url is missing",
		"{url: '" + url + "'}":                                 "name is missing",
		"{name: a, url: 'http://h/'}":                          "begins with xmlrpc+http://",
		"{name: a, url: 'xmlrpc+ftp://h/'}":                    "begins with xmlrpc+http://",
		"{name: a, url: 'xmlrpc+http://'}":                     "no host",
		"{name: a, url: 'xmlrpc+http://u:secret@h:x/'}":        "no URL",
		"{name: a, url: '" + url + "', dialect: klingon}":      "none of standard, plain, apache",
		"{name: a, url: '" + url + "', timeout: 10}":           "wants a length of time",
		"{name: a, url: '" + url + "', timeout: -1s}":          "wants a length of time",
		"{name: a, url: '" + url + "', methods: x}":            "wants a list",
		"{name: a, url: '" + url + "', health: 5s}":            "wants keys and values",
		"{name: a, url: '" + url + "', health: {every: 5s}}":   `no key "every"`,
		"{name: a, url: '" + url + "', health: {failures: 0}}": "from 1 to 1000",
		"{name: a, url: '" + url + "', type: greeting}":        `no key "type"`,
	} {
		_, err := Parse([]byte("attach: ["+data+"]"), "x")
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(fmt.Sprint(err), "secret") {
			t.Errorf("%s: got %v, want %q", data, err, want)
		}
	}
	_, err := Parse([]byte("functions: [{name: a, function: add}]\nattach: [{name: a, url: '"+url+"'}]"), "x")
	if err == nil || !strings.Contains(err.Error(), `the name "a" is used on line 1 already`) {
		t.Errorf("a name twice: got %v", err)
	}
}
