package laws

import (
	"bytes"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// unfinished are words that say that something is missing. They are put
// together here so that this file does not break the law itself.
var unfinished = regexp.MustCompile(`\b(` + "TO" + "DO|FIX" + "ME|X" + `XX)\b`)

// machinePath is an absolute path that exists on one machine only.
var machinePath = regexp.MustCompile(`(^|[^a-zA-Z0-9._/-])/(home|Users|root|work|farm)/[a-zA-Z0-9._-]+`)

// markdownLink is the target of a link or image in Markdown.
var markdownLink = regexp.MustCompile(`\]\(([^)\s]+)(?:\s+"[^"]*")?\)`)

// CheckUnfinished wants no word in any text that says that it is unfinished:
// what is missing is not there, or is an issue.
func (t *Tree) CheckUnfinished() []Violation {
	return t.grep(unfinished, nil, "%q: finish it, or file it")
}

// CheckMachinePaths wants no path of somebody's machine in any text. except
// lists files in which such paths are the matter itself.
func (t *Tree) CheckMachinePaths(except []string) []Violation {
	return t.grep(machinePath, except, "%q is a path of one machine")
}

// CheckLinks wants every relative link in a Markdown file to lead to a file of
// the tree at fsys.
func (t *Tree) CheckLinks(fsys fs.FS) []Violation {
	var vs []Violation
	for _, text := range t.Texts {
		if path.Ext(text.Path) != ".md" {
			continue
		}
		fenced := false
		for i, line := range bytes.Split(text.Data, []byte{'\n'}) {
			if bytes.HasPrefix(bytes.TrimSpace(line), []byte("```")) {
				fenced = !fenced
			}
			if fenced {
				continue
			}
			for _, m := range markdownLink.FindAllSubmatch(line, -1) {
				target, _, _ := strings.Cut(string(m[1]), "#")
				if target == "" || strings.Contains(target, ":") {
					continue
				}
				p := path.Join(path.Dir(text.Path), target)
				if _, err := fs.Stat(fsys, p); err != nil {
					vs = append(vs, Violation{Path: text.Path, Line: i + 1, Text: "the link leads nowhere: " + target})
				}
			}
		}
	}
	return sorted(vs)
}

// CheckMentioned wants the text file at name to hold each of words, in a
// Markdown code span or a link's text.
func (t *Tree) CheckMentioned(name string, words []string) []Violation {
	i := slices.IndexFunc(t.Texts, func(x Text) bool { return x.Path == name })
	if i < 0 {
		return []Violation{{Path: name, Text: "the file is missing"}}
	}
	var vs []Violation
	for _, w := range words {
		if !bytes.Contains(t.Texts[i].Data, []byte("`"+w+"`")) {
			vs = append(vs, Violation{Path: name, Text: "`" + w + "` is not mentioned"})
		}
	}
	return vs
}

// grep returns a violation for each match of re; format takes the match.
func (t *Tree) grep(re *regexp.Regexp, except []string, format string) []Violation {
	var vs []Violation
	for _, text := range t.Texts {
		if slices.Contains(except, text.Path) {
			continue
		}
		for i, line := range bytes.Split(text.Data, []byte{'\n'}) {
			if m := re.Find(line); m != nil {
				quoted := strings.Replace(format, "%q", `"`+strings.TrimSpace(string(m))+`"`, 1)
				vs = append(vs, Violation{Path: text.Path, Line: i + 1, Text: quoted})
			}
		}
	}
	return sorted(vs)
}
