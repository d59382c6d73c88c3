package xmlrpc

import (
	"strings"
	"testing"
	"unicode/utf16"
)

// utf16Of is s in UTF-16, with a mark if it begins with one.
func utf16Of(s string, little bool) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		if little {
			b.WriteByte(byte(u))
			b.WriteByte(byte(u >> 8))
		} else {
			b.WriteByte(byte(u >> 8))
			b.WriteByte(byte(u))
		}
	}
	return b.String()
}

func TestCharsets(t *testing.T) {
	const mark = "\uFEFF"
	decl := func(name string) string { return `<?xml version="1.0" encoding="` + name + `"?>` }
	for _, c := range []struct {
		name string
		doc  string
		hint string
		want string
		code int
	}{
		{"none", "<value>ä€</value>", "", "ä€", 0},
		{"utf-8", decl("utf-8") + "<value>ä€</value>", "", "ä€", 0},
		{"single quotes", "<?xml version = '1.0' encoding = 'utf-8' ?><value>ä€</value>", "", "ä€", 0},
		{"utf-8 with a mark", mark + "<value>ä</value>", "", "ä", 0},
		{"mark beats hint", mark + "<value>ä</value>", "iso-8859-1", "ä", 0},
		{"us-ascii", decl("US-ASCII") + "<value>a&#228;</value>", "", "aä", 0},
		{"us-ascii lies", decl("us-ascii") + "<value>ä</value>", "", "", CodeInvalidCharacter},
		{"iso-8859-1", decl("ISO-8859-1") + "<value>\xe4\x80</value>", "", "ä\u0080", 0},
		{"iso-8859-1 of ASCII", decl("ISO-8859-1") + "<value>a</value>", "", "a", 0},
		{"windows-1252", decl("windows-1252") + "<value>\xe4\x80\x9f</value>", "", "ä€Ÿ", 0},
		{"windows-1252 has no 81", decl("windows-1252") + "<value>\x81</value>", "", "", CodeInvalidCharacter},
		{"hint", "<value>\xe4</value>", " Latin1 ", "ä", 0},
		{"declaration beats hint", decl("utf-8") + "<value>ä</value>", "iso-8859-1", "ä", 0},
		{"hint without a declared encoding", "<?xml version='1.0'?><value>\xe4</value>", "iso-8859-1", "ä", 0},
		{"utf-16le", utf16Of(mark+"<value>ä😀</value>", true), "", "ä😀", 0},
		{"utf-16be", utf16Of(mark+decl("utf-16")+"<value>ä😀</value>", false), "", "ä😀", 0},
		{"utf-16be declared so", utf16Of(mark+decl("utf-16BE")+"<value>ä</value>", false), "", "ä", 0},
		{"utf-16le by the hint", utf16Of("<value>ä</value>", true), "utf-16le", "ä", 0},
		{"utf-16 of odd length", utf16Of(mark+"<value>a</value>", true) + "a", "", "", CodeInvalidCharacter},
		{"utf-16 ends in half a pair", utf16Of(mark+"<value>", true) + "\x3d\xd8", "", "", CodeInvalidCharacter},
		{"utf-16 with a lone low", utf16Of(mark, true) + "\x00\xde\x00\x00", "", "", CodeInvalidCharacter},
		{"utf-16 declared as utf-8", utf16Of(mark+decl("utf-8")+"<value>a</value>", true), "", "", CodeInvalidCharacter},
		{"utf-8 mark declared as latin 1", mark + decl("iso-8859-1") + "<value>a</value>", "", "", CodeInvalidCharacter},
		{"declared as utf-16", decl("utf-16") + "<value>a</value>", "", "", CodeInvalidCharacter},
		{"utf-16 without a mark", utf16Of("<value>a</value>", false), "", "", CodeInvalidCharacter},
		{"two marks", mark + mark + "<value>a</value>", "", "", CodeNotWellFormed},
		{"unknown", decl("klingon") + "<value>a</value>", "", "", CodeUnsupportedEncoding},
		{"unknown hint", "<value>a</value>", "ebcdic", "", CodeUnsupportedEncoding},
		{"encoding twice", `<?xml version="1.0" encoding="utf-8" encoding="utf-8"?><value/>`, "", "", CodeNotWellFormed},
		{"version missing", `<?xml encoding="utf-8"?><value/>`, "", "", CodeNotWellFormed},
		{"version 1.1", `<?xml version="1.1"?><value/>`, "", "", CodeNotWellFormed},
		{"standalone", `<?xml version="1.0" standalone="no"?><value/>`, "", "", 0},
		{"standalone maybe", `<?xml version="1.0" standalone="maybe"?><value/>`, "", "", CodeNotWellFormed},
		{"no blank", `<?xml version="1.0"encoding="utf-8"?><value/>`, "", "", CodeNotWellFormed},
		{"order", `<?xml version="1.0" standalone="no" encoding="utf-8"?><value/>`, "", "", CodeNotWellFormed},
		{"no end", `<?xml version="1.0"><value/>`, "", "", CodeNotWellFormed},
		{"upper case", `<?XML version="1.0"?><value/>`, "", "", CodeNotWellFormed},
		{"not a declaration", `<?xml-stylesheet a?><value/>`, "", "", 0},
		{"declaration twice", decl("utf-8") + decl("utf-8") + "<value/>", "", "", CodeNotWellFormed},
	} {
		v, err := ParseValue([]byte(c.doc), DecodeOptions{Charset: c.hint})
		if c.code != 0 {
			if FaultCode(err) != c.code {
				t.Errorf("%s: got %v, want error %d", c.name, err, c.code)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got, err := v.Any(); err != nil || got != c.want {
			t.Errorf("%s: got %q, %v, want %q", c.name, got, err, c.want)
		}
	}
}

// TestLimitOfBytesHoldsAfterConversion has documents that grow in UTF-8.
func TestLimitOfBytesHoldsAfterConversion(t *testing.T) {
	latin1 := `<?xml version="1.0" encoding="iso-8859-1"?><value>` + strings.Repeat("\xe4", 1000) + "</value>"
	wide := utf16Of("\uFEFF<value>"+strings.Repeat("\u20ac", 1000)+"</value>", true)
	for name, doc := range map[string]string{"latin 1": latin1, "utf-16": wide} {
		if _, err := ParseValue([]byte(doc), DecodeOptions{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		_, err := ParseValue([]byte(doc), DecodeOptions{Limits: Limits{Bytes: len(doc)}})
		if FaultCode(err) != CodeLimit {
			t.Errorf("%s: got %v, want a LimitError", name, err)
		}
	}
}
