package xmlrpc

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// shapeCases are documents of one value, and what they are read as. want is nil
// for what is refused, with the code.
var shapeCases = []struct {
	doc  string
	want any
	code int
}{
	// Arrays.
	{"<array><data></data></array>", []any{}, 0},
	{"<array><data/></array>", []any{}, 0},
	{"<array/>", []any{}, 0},
	{"<array></array>", []any{}, 0},
	{"<array><data><value><int>1</int></value><value>x</value><value><array><data/></array></value></data></array>", []any{1, "x", []any{}}, 0},
	{"\n <array>\n <data>\n <value>\n <int>1</int>\n </value>\n </data>\n </array>\n ", []any{1}, 0},
	{"<array><value><int>1</int></value></array>", nil, CodeInvalidRequest},
	{"<array><data></data><data></data></array>", nil, CodeInvalidRequest},
	{"<array><data><int>1</int></data></array>", nil, CodeInvalidRequest},
	{"<array><data>x</data></array>", nil, CodeInvalidRequest},
	{"<array>x<data></data></array>", nil, CodeInvalidRequest},
	{"<array><data></data>x</array>", nil, CodeInvalidRequest},

	// Structs.
	{"<struct></struct>", map[string]any{}, 0},
	{"<struct/>", map[string]any{}, 0},
	{"<struct><member><name>a</name><value>1</value></member></struct>", map[string]any{"a": "1"}, 0},
	{"<struct><member><value><int>1</int></value><name>a</name></member></struct>", map[string]any{"a": 1}, 0},
	{"<struct><member><value><array><data><value>x</value></data></array></value><name>a</name></member><member><name>b</name><value/></member></struct>", map[string]any{"a": []any{"x"}, "b": ""}, 0},
	{"<struct><member><name> a b </name><value/></member></struct>", map[string]any{" a b ": ""}, 0},
	{"<struct><member><name></name><value/></member></struct>", map[string]any{"": ""}, 0},
	{"<struct><member><name/><value/></member></struct>", map[string]any{"": ""}, 0},
	{"<struct><member><name>a&amp;b</name><value/></member></struct>", map[string]any{"a&b": ""}, 0},
	{"<struct><member><name>a</name><value/></member><member><name>a</name><value/></member></struct>", nil, CodeInvalidRequest},
	{"<struct><member><name>a</name><value/></member><member><name>&#97;</name><value/></member></struct>", nil, CodeInvalidRequest},
	{"<struct><member><name>a</name></member></struct>", nil, CodeInvalidRequest},
	{"<struct><member><value/></member></struct>", nil, CodeInvalidRequest},
	{"<struct><member/></struct>", nil, CodeInvalidRequest},
	{"<struct><member><name>a</name><name>b</name><value/></member></struct>", nil, CodeInvalidRequest},
	{"<struct><member><name>a</name><value/><value/></member></struct>", nil, CodeInvalidRequest},
	{"<struct><member><name><string>a</string></name><value/></member></struct>", nil, CodeInvalidRequest},
	{"<struct><member>x<name>a</name><value/></member></struct>", nil, CodeInvalidRequest},
	{"<struct><value/></struct>", nil, CodeInvalidRequest},
	{"<struct>x</struct>", nil, CodeInvalidRequest},

	// Values.
	{"<int a='1' b=\"2\" >3</int >", 3, 0},
	{"<int>1</int><int>2</int>", nil, CodeInvalidRequest},
	{"<int>1</int>x", nil, CodeInvalidRequest},
	{"foo<int>3</int>", nil, CodeInvalidRequest},
	{"<int>1<b/></int>", nil, CodeInvalidRequest},
	{"<string>a<b/></string>", nil, CodeInvalidRequest},
	{"<integer>1</integer>", nil, CodeInvalidRequest},
	{"<INT>1</INT>", nil, CodeInvalidRequest},
	{"<value>1</value>", nil, CodeInvalidRequest},
	{"<foo:int>1</foo:int>", nil, CodeInvalidRequest},
	{"<!-- a --><int>1</int><!-- b -->", 1, 0},
	{"<?php echo ?><int>1</int>", 1, 0},
	{"<![CDATA[ ]]><int>1</int>", 1, 0},
	{"&#32;<int>1</int>", 1, 0},
	{"<![CDATA[x]]><int>1</int>", nil, CodeInvalidRequest},
	{"&#120;<int>1</int>", nil, CodeInvalidRequest},

	// XML.
	{"<string>a<![CDATA[<&>]]>b<!-- c --><?d?>e</string>", "a<&>be", 0},
	{"<string><![CDATA[]]]]><![CDATA[>]]></string>", "]]>", 0},
	{"<string><![CDATA[a\r\nb\rc]]></string>", "a\nb\nc", 0},
	{"<string>a\r\nb\rc\nd&#13;e&#xD;&#10;</string>", "a\nb\nc\nd\re\r\n", 0},
	{"<string>a]]b]>c</string>", "a]]b]>c", 0},
	{"<string>&#65;&#x42;&#x1F600;&#0000067;</string>", "AB😀C", 0},
	{"<string>&#55357;&#56832;</string>", "😀", 0},
	{"<string>&#xD83D;&#xDE00;x</string>", "😀x", 0},
	{"<string>&#xD83D;x</string>", nil, CodeInvalidCharacter},
	{"<string>&#xDE00;</string>", nil, CodeInvalidCharacter},
	{"<string>&#xD83D;&#65;</string>", nil, CodeInvalidCharacter},
	{"<string>&#0;</string>", nil, CodeInvalidCharacter},
	{"<string>&#1;</string>", nil, CodeInvalidCharacter},
	{"<string>&#xFFFE;</string>", nil, CodeInvalidCharacter},
	{"<string>&#x110000;</string>", nil, CodeInvalidCharacter},
	{"<string>&#99999999999999999999;</string>", nil, CodeInvalidCharacter},
	{"<string>\x01</string>", nil, CodeInvalidCharacter},
	{"<string>\x00</string>", nil, CodeInvalidCharacter},
	{"<string>\uFFFF</string>", nil, CodeInvalidCharacter},
	{"<string>\xff</string>", nil, CodeInvalidCharacter},
	{"<string>\xc0\x80</string>", nil, CodeInvalidCharacter},
	{"<string>\xed\xa0\x80</string>", nil, CodeInvalidCharacter},
	{"<string>&nbsp;</string>", nil, CodeNotWellFormed},
	{"<string>&</string>", nil, CodeNotWellFormed},
	{"<string>&amp</string>", nil, CodeNotWellFormed},
	{"<string>&#;</string>", nil, CodeNotWellFormed},
	{"<string>&#x;</string>", nil, CodeNotWellFormed},
	{"<string>&#X41;</string>", nil, CodeNotWellFormed},
	{"<string>&#6 5;</string>", nil, CodeNotWellFormed},
	{"<string>a]]>b</string>", nil, CodeNotWellFormed},
	{"<string>" + strings.Repeat("a", 47) + "]]>b</string>", nil, CodeNotWellFormed},
	{"<string>" + strings.Repeat("a", 46) + "]]>b</string>", nil, CodeNotWellFormed},
	{"<string>a&lt;" + strings.Repeat("a", 100) + "]]>b</string>", nil, CodeNotWellFormed},
	{"<string><!-- a -- b --></string>", nil, CodeNotWellFormed},
	{"<string><!-- a ---></string>", nil, CodeNotWellFormed},
	{"<string><!-- a", nil, CodeNotWellFormed},
	{"<string><![CDATA[ a", nil, CodeNotWellFormed},
	{"<string><?xml version='1.0'?></string>", nil, CodeNotWellFormed},
	{"<string><??></string>", nil, CodeNotWellFormed},
	{"<string><?1a?></string>", nil, CodeNotWellFormed},
	{"<string><!DOCTYPE a></string>", nil, CodeNotWellFormed},
	{"<string><!ELEMENT a></string>", nil, CodeNotWellFormed},
	{"<string>a</int>", nil, CodeNotWellFormed},
	{"<string>a</strings>", nil, CodeNotWellFormed},
	{"<string>a</stri", nil, CodeNotWellFormed},
	{"< string>a</string>", nil, CodeNotWellFormed},
	{"<string>a</ string>", nil, CodeNotWellFormed},
	{"<string a>b</string>", nil, CodeNotWellFormed},
	{"<string a=1>b</string>", nil, CodeNotWellFormed},
	{"<string a='1'b='2'>b</string>", nil, CodeNotWellFormed},
	{"<string a='1' a='2'>b</string>", nil, CodeNotWellFormed},
	{"<string a='<'>b</string>", nil, CodeNotWellFormed},
	{"<string a='&x;'>b</string>", nil, CodeNotWellFormed},
	{"<string a='&#1;'>b</string>", nil, CodeInvalidCharacter},
	{"<string 1a='1'>b</string>", nil, CodeNotWellFormed},
	{"<string a='>' b=\"'\" é='ü' c = '&lt;&#65;'>b</string>", "b", 0},
	{"<string/ >", nil, CodeNotWellFormed},
	{"<string a='1'/>", "", 0},
}

func TestShapes(t *testing.T) {
	for _, c := range shapeCases {
		var got any
		err := Unmarshal([]byte("<value>"+c.doc+"</value>"), &got)
		if c.want == nil {
			if bad := new(SyntaxError); !errors.As(err, &bad) || bad.Code != c.code {
				t.Errorf("%s: got %#v, %v, want error %d", c.doc, got, err, c.code)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %#v, %v, want %#v", c.doc, got, err, c.want)
		}
	}
}

func TestStrictRefusesShapesThatTheSpecificationDoesNotHave(t *testing.T) {
	for _, doc := range []string{
		"<value><array/></value>",
		"<value><array></array></value>",
		"<value><struct><member><value/><name>a</name></member></struct></value>",
		"<value><i8>1</i8></value>",
		"\n<?xml version='1.0'?><value/>",
	} {
		if _, err := ParseValue([]byte(doc), DecodeOptions{}); err != nil {
			t.Errorf("%s: %v", doc, err)
		}
		if _, err := ParseValue([]byte(doc), DecodeOptions{Strict: true}); err == nil {
			t.Errorf("%s: strict: got no error", doc)
		}
	}
	if _, err := ParseValue([]byte("<value>&#55357;&#56832;</value>"), DecodeOptions{Strict: true}); FaultCode(err) != CodeInvalidCharacter {
		t.Errorf("surrogates: got %v, want error %d", err, CodeInvalidCharacter)
	}
}

func TestLastWinsReadsDuplicates(t *testing.T) {
	const doc = "<value><struct><member><name>a</name><value>1</value></member><member><name>a</name><value>2</value></member></struct></value>"
	v, err := ParseValue([]byte(doc), DecodeOptions{LastWins: true})
	if err != nil {
		t.Fatal(err)
	}
	var s struct{ A string }
	if err := v.Decode(&s); err != nil || s.A != "2" {
		t.Errorf("struct: got %q, %v, want 2", s.A, err)
	}
	if m, ok := v.Member("a"); !ok || m.Kind() != KindString {
		t.Fatal("no member a")
	} else if x, _ := m.Any(); x != "2" {
		t.Errorf("Member: got %v, want 2", x)
	}
}

func TestDuplicatesAreFoundAmongManyMembers(t *testing.T) {
	for _, count := range []int{3, 8, 9, 10, 100, 3000} {
		for _, twin := range []int{0, count / 2, count - 2} {
			var b strings.Builder
			b.WriteString("<value><struct>")
			for i := range count {
				name := i
				if i == count-1 {
					name = twin
				}
				b.WriteString("<member><name>n" + strings.Repeat("x", name%7) + string(rune('A'+name)) + "</name><value/></member>")
			}
			b.WriteString("</struct></value>")
			if err := Unmarshal([]byte(b.String()), new(any)); FaultCode(err) != CodeInvalidRequest {
				t.Errorf("%d members, the last like %d: got %v, want error %d", count, twin, err, CodeInvalidRequest)
			}
		}
	}
}

// TestTruncation cuts a document with everything in it at every byte: there is
// always an error, and never the document.
func TestTruncation(t *testing.T) {
	for _, c := range goldenFiles(t, "request") {
		doc := strings.TrimRight(string(c.doc), " \t\r\n")
		if strings.HasSuffix(doc, "-->") {
			continue // ends in what may be missing
		}
		for n := range len(doc) {
			_, err := ParseRequest([]byte(doc[:n]), DecodeOptions{})
			if err == nil {
				t.Errorf("%s: the first %d of %d bytes are read without an error", c.name, n, len(doc))
			}
			if code := FaultCode(err); code != CodeNotWellFormed && code != CodeInvalidCharacter && code != CodeUnsupportedEncoding {
				t.Errorf("%s: the first %d bytes: got %v, want error %d", c.name, n, err, CodeNotWellFormed)
			}
		}
	}
}

func TestErrorsHaveTheirPlace(t *testing.T) {
	doc := "<?xml version=\"1.0\"?>\n<value>\n <array><data>\n  <value><int>1</int></value>\n  <value><struct><member><name>age</name>\n<value><int>old</int></value></member></struct></value></data></array></value>"
	var got []map[string]int
	err := Unmarshal([]byte(doc), &got)
	want := &UnmarshalTypeError{}
	if !errors.As(err, &want) || want.Path != "[0]" || doc[want.Offset-len("<int>"):want.Offset] != "<int>" {
		t.Errorf("got %v, want a type error at [0]", err)
	}
	err = Unmarshal([]byte(doc), new(any))
	bad := &SyntaxError{}
	if !errors.As(err, &bad) || bad.Path != "[1].age" || bad.Line != 6 || doc[bad.Offset:bad.Offset+3] != "old" {
		t.Errorf("got %#v, want [1].age on line 6", err)
	}
	if want := `xmlrpc: [1].age: "old" is no integer (line 6, byte 129)`; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}

	v, err := ParseValue([]byte(doc), DecodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.Clone().Any()
	if want := `xmlrpc: [1].age: "old" is no integer`; err == nil || err.Error() != want {
		t.Errorf("clone: got %v, want %q", err, want)
	}
}
