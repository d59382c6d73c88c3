package cli

import (
	"path/filepath"
	"testing"
)

// TestTranscripts holds what people see against the files in testdata.
func TestTranscripts(t *testing.T) {
	f := newFixture(t)
	for _, tt := range []struct {
		name  string
		lines [][]string
	}{
		{"help", [][]string{
			{}, {"invoke", "--help"}, {"call", "--help"}, {"list", "--help"}, {"invoke", "greeting", "--help"},
		}},
		{"look", [][]string{
			{"list"}, {"list", "gre"}, {"list", "--all"}, {"list", "farcall."}, {"list", "--tag", "green"}, {"list", "--node", "daemon-2"},
			{"list", "--tag", "green", "--tag", "blue"}, {"list", "nothing."}, {"list", "-o", "json", "greeting"}, {"list", "-o", "yaml", "greeting"},
			{"describe", "greeting"}, {"describe", "add"}, {"describe", "lab"}, {"describe", "lab", "sum"}, {"describe", "add", "-o", "yaml"},
			{"describe", "greeting", "-o", "go"}, {"describe", "add", "-o", "go"}, {"describe", "add", "-o", "jsonschema"}, {"describe", "lab", "sum", "-o", "jsonschema"},
			{"resolve", "greeting"}, {"resolve", "greeting", "--node", "daemon-2"}, {"version"}, {"version", "-o", "json"},
		}},
		{"calls", [][]string{
			{"invoke", "greeting", "get_fortune", "letian"}, {"invoke", "greeting", "GetFortune", "letian"},
			{"invoke", "greeting", "get_fortune", "42"}, {"call", "add", "3", "4"}, {"call", "add", "-3", "4"},
			{"invoke", "lab", "two"}, {"invoke", "lab", "nothing"}, {"invoke", "lab", "order", `{"sku": "A1", "count": 2}`},
			{"invoke", "-o", "yaml", "lab", "order", `{"sku": "A1", "notes": {"n": [1, 2.5]}}`},
		}},
		{"errors", [][]string{
			{"frobnicate"}, {"lst"}, {"list", "--bogus"}, {"list", "a", "b"}, {"list", "--timeout", "soon"}, {"list", "--timeout", "-1s"},
			{"list", "-o", "xml"}, {"list", "-o", "go"}, {"describe", "-o", "xml", "greeting"}, {"list", "--nameserver", ""}, {"invoke"}, {"invoke", "greeting"}, {"invoke", "", "x"}, {"invoke", "greeting", ""},
			{"invoke", "greting", "get_fortune", "letian"}, {"invoke", "nothing.like.it", "x"},
			{"invoke", "--node", "daemon-1", "greeting", "get_fortun", "letian"}, {"invoke", "--node", "daemon-2", "greeting", "get_fortun"},
			{"invoke", "--node", "daemon-1", "greeting", "get_fortune"}, {"invoke", "greeting", "get_fortune", "a", "b"},
			{"invoke", "greeting", "get_fortune", "letian", "-o", "json"},
			{"invoke", "add", "3", "4"}, {"call", "greeting"}, {"call", "ad", "3", "4"},
			{"call", "add", "three", "4"}, {"call", "add", "3", "9223372036854775808"}, {"call", "add", "9223372036854775807", "1"},
			{"call", "add", "--json", "[1, 2]"}, {"call", "--json", "{}", "add"}, {"call", "--json", "[1, 2]", "add", "3"},
			{"call", "--json", `[1, "x"]`, "add"},
			{"invoke", "lab", "order", `{"sku": 1}`}, {"invoke", "lab", "order", `{"skew": 1}`}, {"invoke", "lab", "order", `{`},
			{"invoke", "lab", "later", "now", "1h"}, {"invoke", "lab", "scale", `{"x": 1}`, "2"}, {"invoke", "lab", "sum", "1", "two"},
			{"invoke", "lab", "upper", "@no/such/file"}, {"call", "add", "-", "-"},
			{"invoke", "lab", "fail", "out of \x1b[31mpaper"}, {"invoke", "lab", "panic"}, {"invoke", "lab", "code", "7", "not you"},
			{"invoke", "lab", "code", "8", "too busy"},
			{"invoke", "--node", "daemon-3", "greeting", "get_fortune", "x"}, {"--node", "a\nb", "list"},
			{"describe", "greting"}, {"describe", "greeting", "sing"}, {"describe", "add", "x"}, {"describe"},
			{"resolve", "greting"}, {"resolve", "add", "--node", "daemon-2"},
			{"ping"}, {"ping", "greting"}, {"ping", "add", "-c", "0"}, {"ping", "add", "-i", "-1s"}, {"version", "x"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			golden(t, filepath.Join("testdata", tt.name+".golden"), f.transcript(tt.lines...))
		})
	}
}
