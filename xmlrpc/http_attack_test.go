package xmlrpc

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

// What the scanner refuses has its fault over HTTP as well, and costs little more.
// Of the largest documents the beginning is enough, since only its size matters to
// HTTP: the scanner's own test has them whole.
func TestAttacksOverHTTP(t *testing.T) {
	for _, a := range attacks() {
		t.Run(a.name, func(t *testing.T) {
			doc := string(a.doc())
			if len(doc) > 3<<20 {
				doc = doc[:3<<20]
				a.o.Limits.Bytes, a.code = len(doc)-1, CodeLimit
			}
			h, err := NewHandler(HandlerOptions{Decode: a.o})
			must(t, err)
			must(t, h.Func("f", func(...any) {}))
			code := 0
			size := allocated(func() {
				w := post(h, doc)
				if w.Code == http.StatusRequestEntityTooLarge {
					if len(doc) <= h.limit {
						t.Errorf("got status 413 for %d bytes, and the limit is %d", len(doc), h.limit)
					}
					code = CodeLimit
					return
				}
				if _, err := ParseResponse(w.Body.Bytes(), DecodeOptions{}); err != nil {
					code = faultOf(t, err).Code
				}
			})
			if code != a.code {
				t.Errorf("got fault %d, want %d", code, a.code)
			}
			// The body is read into a buffer that grows by halves and more.
			if most := 256<<10 + uint64(float64(len(doc))*(a.most+6)); size > most {
				t.Errorf("%d bytes have cost %d bytes of memory, want %d at most", len(doc), size, most)
			}
		})
	}
}

// A bomb costs what the limit is, not what it holds.
func TestBombsCostLittleMemory(t *testing.T) {
	bomb := gzipped(t, strings.Repeat("x", 20<<20))
	h := newTestHandler(t, HandlerOptions{Decode: DecodeOptions{Limits: Limits{Bytes: 1 << 18}}})
	size := allocated(func() {
		if w := post(h, bomb, "Content-Encoding", "gzip"); w.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("got status %d, want 413", w.Code)
		}
	})
	if size > 2<<20 {
		t.Errorf("the bomb has cost %d bytes of memory", size)
	}
	// So does a length that is only announced, here of 10 MiB: no more than 64 KiB
	// is set aside before it has come. The rest is the test's own request, and
	// pools that are empty, as the race detector keeps them.
	h = newTestHandler(t, HandlerOptions{})
	size = allocated(func() {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("x"))
		r.ContentLength = 10 << 20
		h.ServeHTTP(httptest.NewRecorder(), r)
	})
	if size > 256<<10 {
		t.Errorf("a length has cost %d bytes of memory", size)
	}
}

func TestHostileMethodNames(t *testing.T) {
	var log syncBuffer
	h := newTestHandler(t, HandlerOptions{Logger: textLogger(&log), Dispatcher: DispatcherFunc(func(_ context.Context, call *Call) (any, error) {
		return nil, errors.New("failed: " + call.Method)
	})})
	for name, code := range map[string]int{
		"":                              CodeInvalidRequest,
		" \n ":                          CodeInvalidRequest,
		strings.Repeat("x", 256):        CodeLimit,
		strings.Repeat("x", 1<<20):      CodeLimit,
		"a&#0;b":                        CodeInvalidCharacter,
		"a\x00b":                        CodeInvalidCharacter,
		"a<b/>c":                        CodeInvalidRequest,
		"..":                            CodeApplication,
		"../../etc/passwd":              CodeApplication,
		"greeting.Hidden":               CodeApplication,
		"greeting..get_fortune":         CodeApplication,
		"greeting.get_fortune.__self__": CodeApplication,
		"__class__":                     CodeApplication,
		"&lt;script&gt;":                CodeApplication,
		"a&#10;level=ERROR msg=forged":  CodeApplication,
		"a\r\nlevel=ERROR msg=forged":   CodeApplication,
	} {
		wantFault(t, post(h, callDoc(name)), code)
	}
	for line := range strings.Lines(log.String()) {
		if !strings.HasPrefix(line, "time=") || strings.Contains(line, " level=ERROR") && !strings.Contains(line, `\nlevel=ERROR`) {
			t.Errorf("a line of the log is a caller's: %q", line)
		}
	}
}

// A request that ends anywhere is a fault, and leaves the Handler as it was.
func TestTruncatedRequests(t *testing.T) {
	h := newTestHandler(t, HandlerOptions{})
	doc := callDoc("echo", "<struct><member><name>a</name><value><array><data><value><int>1</int></value></data></array></value></member></struct>")
	for n := range len(doc) {
		wantFault(t, post(h, doc[:n]), CodeNotWellFormed)
	}
	if w := post(h, doc); !strings.Contains(w.Body.String(), "<name>a</name>") {
		t.Errorf("the whole of it: got %s", w.Body)
	}
}

func TestHugeBatches(t *testing.T) {
	const n = 20_000
	entry := func(method string) string {
		return "<value><struct><member><name>methodName</name><value>" + method + "</value></member>" +
			"<member><name>params</name><value><array><data></data></array></value></member></struct></value>"
	}
	batch := func(method string) string {
		return callDoc(multicallName, "<array><data>"+strings.Repeat(entry(method), n)+"</data></array>")
	}
	ran := 0
	count := HandlerOptions{Admit: func(context.Context, *Call) error { ran++; return nil }}
	f := wantFault(t, post(newTestHandler(t, count), batch("none")), CodeLimit)
	if !strings.Contains(f.String, strconv.Itoa(n)) || ran > 0 {
		t.Errorf("got %v after %d calls", f, ran)
	}
	count.MaxBatch = -1
	for _, method := range []string{"none", "nosuch", multicallName} {
		ran = 0
		w := post(newTestHandler(t, count), batch(method))
		if w.Code != 200 || w.Body.Len() > 16<<20+1000 {
			t.Errorf("%s: got status %d and %d bytes", method, w.Code, w.Body.Len())
		}
		if method == multicallName && ran > 0 {
			t.Error("a batch in a batch was run")
		}
	}
}

// Faults that are none are errors, and no panics.
func TestHostileFaults(t *testing.T) {
	for _, fault := range []string{
		"", "<value/>", "<value><int>1</int></value>", "<value><array><data/></array></value>", "<value><struct/></value>",
		"<value><struct><member><name>faultCode</name><value><struct/></value></member></struct></value>",
		"<value><struct><member><name>faultCode</name><value><int>1</int></value></member><member><name>faultString</name><value><array><data/></array></value></member></struct></value>",
		"<value><struct><member><name>faultCode</name><value><double>1e99</double></value></member><member><name>faultString</name><value/></member></struct></value>",
		"<value><struct><member><name>faultCode</name><value>Server</value></member><member><name>faultString</name><value>x</value></member></struct></value>",
		"<value><struct><member><name>faultCode</name><value><int>1</int></value></member><member><name>faultString</name><value>" + strings.Repeat("x", 1<<20) + "</value></member></struct></value>",
	} {
		c := dial(t, serve(t, answer("text/xml", "<methodResponse><fault>"+fault+"</fault></methodResponse>")), ClientOptions{})
		if err := c.Call(t.Context(), "add", nil); err == nil {
			t.Errorf("%.200s: got no error", fault)
		}
	}
}
