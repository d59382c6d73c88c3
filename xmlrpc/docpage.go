package xmlrpc

import (
	"bytes"
	"crypto/sha256"
	"html/template"
	"net/http"
	"strings"
)

// maxDocMethods is how many methods the documentation tells of.
const maxDocMethods = 2000

// docStyle is the style sheet of the documentation.
const docStyle = `
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }
h2 { font: 600 1rem/1.5 ui-monospace, monospace; margin: 2rem 0 0; overflow-wrap: anywhere; }
pre { font: .9rem/1.5 ui-monospace, monospace; margin: .25rem 0; white-space: pre-wrap; opacity: .8; }
p { margin: .25rem 0; white-space: pre-wrap; }
`

const docTemplate = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{.Title}}</title>
<style>{{style}}</style>
</head>
<body>
<h1>{{.Title}}</h1>
{{with .Intro}}<p>{{.}}</p>
{{end}}<p>This is an XML-RPC server. Its methods are called by POST to the address of this page.</p>
{{range .Methods}}<h2 id="{{.Name}}">{{.Name}}</h2>
{{with .Forms}}<pre>{{range .}}{{.}}
{{end}}</pre>
{{end}}{{with .Help}}<p>{{.}}</p>
{{end}}{{end}}{{if .More}}<p>There are {{.More}} more methods; system.listMethods returns them all.</p>
{{end}}</body>
</html>
`

// styleDigest is what tells browsers that the style sheet is the server's own.
func styleDigest() []byte {
	sum := sha256.Sum256([]byte(docStyle))
	return sum[:]
}

// docMethod is what the page tells of a method.
type docMethod struct {
	Name, Help string
	Forms      []string // such as "get_fortune(string) → string"
}

// parseDocPage makes the template of the page.
func parseDocPage() (*template.Template, error) {
	return template.New("methods").
		Funcs(template.FuncMap{"style": func() template.CSS { return docStyle }}).
		Parse(docTemplate)
}

// serveDocs writes a page about the methods. All that is in it is text to it.
func (h *Handler) serveDocs(w http.ResponseWriter, r *http.Request) {
	names, err := h.methodNames(r.Context())
	if err != nil {
		h.refuse(w, r, http.StatusServiceUnavailable, "the methods cannot be listed")
		return
	}
	page := struct {
		Title, Intro string
		Methods      []docMethod
		More         int
	}{Title: h.opts.Title, Intro: h.opts.Intro, More: max(0, len(names)-maxDocMethods)}
	for _, name := range names[:len(names)-page.More] {
		info, err := h.describe(r.Context(), name)
		if err != nil {
			continue // It went away meanwhile.
		}
		m := docMethod{Name: name, Help: info.Help}
		for _, s := range info.Signatures {
			if len(s) > 0 {
				m.Forms = append(m.Forms, name+"("+strings.Join(s[1:], ", ")+") → "+s[0])
			}
		}
		page.Methods = append(page.Methods, m)
	}
	var buf bytes.Buffer
	if err := h.page.Execute(&buf, page); err != nil {
		h.refuse(w, r, http.StatusInternalServerError, "the documentation cannot be shown")
		return
	}
	h.leaveBody(w, r)
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", h.policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	h.writeBody(w, r, buf.Bytes())
}
