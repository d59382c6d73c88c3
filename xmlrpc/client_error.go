package xmlrpc

import (
	"fmt"
	"net/http"
	"strings"
)

// maxErrorBody is how much is read of a body that is no result.
const maxErrorBody = 64 << 10

// An HTTPError is an answer by another status than 200.
type HTTPError struct {
	// Method is the one that was called, and URL where, without a password.
	Method, URL string
	// Status is the status, such as 404.
	Status int
	// Header is that of the response: Location is in it, and WWW-Authenticate.
	Header http.Header
	// Body is the beginning of the body, 512 bytes at most.
	Body string
	// Fault is the fault in the body, if there is one: some servers send faults by
	// status 500. It is nil otherwise.
	Fault *Fault
}

// Error names the call, the status and what the server said of it.
func (e *HTTPError) Error() string {
	s := fmt.Sprintf("xmlrpc: call %s at %s: status %d %s", e.Method, e.URL, e.Status, http.StatusText(e.Status))
	switch {
	case e.Fault != nil:
		return s + ": " + trimPrefix(e.Fault)
	case e.Status/100 == 3:
		return s + fmt.Sprintf(": the server is at %q; redirects are not followed", clipText(e.Header.Get("Location"), 256))
	case e.Status == http.StatusUnauthorized:
		return s + ": set the user name and password"
	}
	if line := firstLine(e.Body); line != "" {
		s += fmt.Sprintf(": %q", line)
	}
	return s
}

// Unwrap returns the Fault, if there is one.
func (e *HTTPError) Unwrap() error {
	if e.Fault == nil {
		return nil
	}
	return e.Fault
}

// A ResponseError is a response with status 200 that is no response to the call.
type ResponseError struct {
	// Method is the one that was called, and URL where, without a password.
	Method, URL string
	// Reason is what is wrong.
	Reason string
	// ContentType is what the server called it, and Body how it begins, 512 bytes at
	// most. Both are empty if it is a proper document that does not answer the call.
	ContentType, Body string
	// Err is the [*SyntaxError] of the document, or nil.
	Err error
}

// Error names the call, what is wrong, and how the response began.
func (e *ResponseError) Error() string {
	s := fmt.Sprintf("xmlrpc: call %s at %s: unusable response: %s", e.Method, e.URL, e.Reason)
	if line := firstLine(e.Body); line != "" {
		s += fmt.Sprintf("; it is %q and begins with %q", e.ContentType, line)
	}
	return s
}

// Unwrap returns Err.
func (e *ResponseError) Unwrap() error { return e.Err }

// firstLine is the first line of text, shortened.
func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return clipText(strings.TrimSpace(line), 120)
}

// Is reports whether the fault says what target does: that there is no such
// method, if that is [ErrMethodNotFound]. There are as many codes for it as there
// are implementations, and most of them have other uses.
func (f *Fault) Is(target error) bool {
	if target != ErrMethodNotFound {
		return false
	}
	switch f.Code {
	case CodeMethodNotFound, -506: // the interoperability specification, xmlrpc-c
		return true
	case 1, 3, 200, -1, 0: // Python, Ruby and phpxmlrpc; Frontier; RPC::XML; XmlRpc++; Apache
		text := strings.ToLower(f.String)
		for _, said := range []string{
			"unknown method", "no such method", "no such handler", "is not supported", "missing or wrong number of param",
		} {
			if strings.Contains(text, said) {
				return true
			}
		}
	}
	return false
}

var (
	_ error = (*HTTPError)(nil)
	_ error = (*ResponseError)(nil)
)
