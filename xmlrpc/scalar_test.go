package xmlrpc

import (
	"errors"
	"math"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"
)

// A scalarCase is a value that is read leniently and strictly.
type scalarCase struct {
	doc    string // the inside of a <value>
	want   any    // nil if it is refused
	strict bool   // read by Strict as well
}

func TestScalars(t *testing.T) {
	legal := time.Date(1998, 7, 17, 14, 8, 55, 0, time.UTC)
	bigInt, _ := new(big.Int).SetString("123456789012345678901234567890", 10)
	none := scalarCase{}.want
	for _, c := range []scalarCase{
		// Integers.
		{"<int>3</int>", 3, true},
		{"<i4>-3</i4>", -3, true},
		{"<int>+5</int>", 5, true},
		{"<int>007</int>", 7, true},
		{"<int>-0</int>", 0, true},
		{"<int>2147483647</int>", math.MaxInt32, true},
		{"<int>-2147483648</int>", math.MinInt32, true},
		{"<int> 3 </int>", 3, false},
		{"<int>\n\t3\r\n</int>", 3, false},
		{"<int>2147483648</int>", none, false},
		{"<int>-2147483649</int>", none, false},
		{"<int>99999999999999999999</int>", none, false},
		{"<int></int>", none, false},
		{"<int/>", none, false},
		{"<int> </int>", none, false},
		{"<int>-</int>", none, false},
		{"<int>3.7</int>", none, false},
		{"<int>1_000</int>", none, false},
		{"<int>0x10</int>", none, false},
		{"<int>1 0</int>", none, false},
		{"<int>\u0663</int>", none, false}, // a digit, but not ours
		{"<int>\u00a03</int>", none, false},
		{"<i1>127</i1>", 127, false},
		{"<i1>128</i1>", none, false},
		{"<i2>-32768</i2>", -32768, false},
		{"<i2>32768</i2>", none, false},
		{"<i8>9223372036854775807</i8>", math.MaxInt64, false},
		{"<i8>-9223372036854775808</i8>", math.MinInt64, false},
		{"<i8>9223372036854775808</i8>", none, false},
		{"<i8>18446744073709551617</i8>", none, false},
		{"<i8>21000000000000000000</i8>", none, false},
		{"<i8>-21000000000000000000</i8>", none, false},
		{"<i8>\n 0 \n</i8>", 0, false},
		{"<biginteger>123456789012345678901234567890</biginteger>", bigInt, false},
		{"<biginteger>1e5</biginteger>", none, false},

		// Booleans.
		{"<boolean>0</boolean>", false, true},
		{"<boolean>1</boolean>", true, true},
		{"<boolean>true</boolean>", true, false},
		{"<boolean> false\n</boolean>", false, false},
		{"<boolean> 1 </boolean>", true, false},
		{"<boolean>2</boolean>", none, false},
		{"<boolean>True</boolean>", none, false},
		{"<boolean>yes</boolean>", none, false},
		{"<boolean></boolean>", none, false},

		// Doubles.
		{"<double>-12.214</double>", -12.214, true},
		{"<double>+.5</double>", .5, true},
		{"<double>5.</double>", 5., true},
		{"<double>12</double>", 12., true},
		{"<double> 1.5 </double>", 1.5, false},
		{"<double>1e300</double>", 1e300, false},
		{"<double>1E-3</double>", .001, false},
		{"<double>1e-999999999</double>", 0., false},
		{"<double>1e999999999</double>", none, false},
		{"<double>inf</double>", none, false},
		{"<double>-Infinity</double>", none, false},
		{"<double>NaN</double>", none, false},
		{"<double>0x1p-2</double>", none, false},
		{"<double>1_000</double>", none, false},
		{"<double>1,5</double>", none, false},
		{"<double>1.2.3</double>", none, false},
		{"<double>1e</double>", none, false},
		{"<double>1e1.5</double>", none, false},
		{"<double>.</double>", none, false},
		{"<double>-</double>", none, false},
		{"<double></double>", none, false},
		{"<float>1.5</float>", 1.5, false},
		{"<bigdecimal>12345678901234567890.123</bigdecimal>", Decimal("12345678901234567890.123"), false},
		{"<bigdecimal>1E999999999</bigdecimal>", Decimal("1E999999999"), false},
		{"<bigdecimal>ten</bigdecimal>", none, false},

		// Strings keep every blank.
		{"<string>abc</string>", "abc", true},
		{"<string> a  b\n</string>", " a  b\n", true},
		{"<string></string>", "", true},
		{"<string/>", "", true},
		{"abc", "abc", true},
		{" a \n b ", " a \n b ", true},
		{"", "", true},
		{"  ", "  ", true},
		{"<string>a&lt;b&amp;&gt;&quot;&apos;</string>", "a<b&>\"'", true},
		{"a<!-- no -->b", "ab", true},

		// Dates.
		{"<dateTime.iso8601>19980717T14:08:55</dateTime.iso8601>", legal, true},
		{"<dateTime.iso8601> 19980717T14:08:55\n</dateTime.iso8601>", legal, false},
		{"<dateTime.iso8601>19980717T140855</dateTime.iso8601>", legal, false},
		{"<dateTime.iso8601>1998-07-17T14:08:55</dateTime.iso8601>", legal, false},
		{"<dateTime.iso8601>19980717T14:08:55Z</dateTime.iso8601>", legal, false},
		{"<dateTime.iso8601>19980717T16:08:55+02</dateTime.iso8601>", legal, false},
		{"<dateTime.iso8601>19980717T16:08:55+0200</dateTime.iso8601>", legal, false},
		{"<dateTime.iso8601>1998-07-17T09:38:55-04:30</dateTime.iso8601>", legal, false},
		{"<dateTime.iso8601>19980718T00:08:55+1000</dateTime.iso8601>", legal, false},
		{"<dateTime.iso8601>19980717T14:08:55.123</dateTime.iso8601>", legal.Add(123 * time.Millisecond), false},
		{"<dateTime.iso8601>19980717T14:08:55,1234567891Z</dateTime.iso8601>", legal.Add(123456789), false},
		{"<dateTime>1998-07-17T14:08:55.272Z</dateTime>", legal.Add(272 * time.Millisecond), false},
		{"<dateTime.iso8601>00000000T00:00:00</dateTime.iso8601>", time.Time{}, false},
		{"<dateTime.iso8601>0000-00-00T00:00:00</dateTime.iso8601>", time.Time{}, false},
		{"<dateTime.iso8601>00010101T00:00:00</dateTime.iso8601>", time.Time{}, true},
		{"<dateTime.iso8601>20000229T23:59:59</dateTime.iso8601>", time.Date(2000, 2, 29, 23, 59, 59, 0, time.UTC), true},
		{"<dateTime.iso8601>19000229T00:00:00</dateTime.iso8601>", none, false},
		{"<dateTime.iso8601>20230431T00:00:00</dateTime.iso8601>", none, false},
		{"<dateTime.iso8601>20231301T00:00:00</dateTime.iso8601>", none, false},
		{"<dateTime.iso8601>20230100T00:00:00</dateTime.iso8601>", none, false},
		{"<dateTime.iso8601>20230101T24:00:00</dateTime.iso8601>", none, false},
		{"<dateTime.iso8601>20230101T23:60:00</dateTime.iso8601>", none, false},
		{"<dateTime.iso8601>20230101T23:59:60</dateTime.iso8601>", none, false},
		{"<dateTime.iso8601>20230101T23:59:59.</dateTime.iso8601>", none, false},
		{"<dateTime.iso8601>20230101T23:59:59+2</dateTime.iso8601>", none, false},
		{"<dateTime.iso8601>20230101T23:59:59+2400</dateTime.iso8601>", none, false},
		{"<dateTime.iso8601>2023-0101T23:59:59</dateTime.iso8601>", none, false},
		{"<dateTime.iso8601>202301-01T23:59:59</dateTime.iso8601>", none, false},
		{"<dateTime.iso8601>20230101T2359:59</dateTime.iso8601>", none, false},
		{"<dateTime.iso8601>20230101 23:59:59</dateTime.iso8601>", none, false},
		{"<dateTime.iso8601>20230101</dateTime.iso8601>", none, false},
		{"<dateTime.iso8601>120230101T00:00:00</dateTime.iso8601>", none, false},
		{"<dateTime.iso8601></dateTime.iso8601>", none, false},

		// Base64.
		{"<base64>aGVsbG8=</base64>", []byte("hello"), true},
		{"<base64>\r\naGVs\r\nbG8=\r\n</base64>", []byte("hello"), true},
		{"<base64> a G\tV s b G 8 = </base64>", []byte("hello"), true},
		{"<base64></base64>", []byte{}, true},
		{"<base64/>", []byte{}, true},
		{"<base64>aGVsbG8</base64>", none, false},
		{"<base64>aGVs!bG8=</base64>", none, false},
		{"<base64>aGVsbG8=aGVs</base64>", none, false},
		{"<base64>__-_</base64>", none, false},
		{"<base64>=</base64>", none, false},
		{"<base64>aGVsbG9=</base64>", []byte("hello"), true}, // trailing bits
	} {
		t.Run(strings.Map(printable, c.doc), func(t *testing.T) {
			doc := []byte("<value>" + c.doc + "</value>")
			for _, strict := range []bool{false, true} {
				var got any
				v, err := ParseValue(doc, DecodeOptions{Strict: strict})
				if err == nil {
					got, err = v.Any()
				}
				want := c.want
				if strict && !c.strict {
					want = nil
				}
				if want == nil {
					var bad *SyntaxError
					if !errors.As(err, &bad) || bad.Code != CodeInvalidRequest {
						t.Errorf("strict %v: got %#v and error %v, want a SyntaxError of %d", strict, got, err, CodeInvalidRequest)
					}
					continue
				}
				if err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("strict %v: got %#v, %v, want %#v", strict, got, err, want)
				}
			}
		})
	}
}

// printable keeps the names of tests readable.
func printable(r rune) rune {
	if r <= ' ' || r == '/' {
		return '_'
	}
	return r
}

func TestNilIsReadInEverySpelling(t *testing.T) {
	const ns = ` xmlns:x="` + apacheNamespace + `"`
	for _, c := range []struct {
		doc string
		ok  bool
	}{
		{"<value><nil/></value>", true},
		{"<value><nil></nil></value>", true},
		{"<value><nil> \n</nil></value>", true},
		{"<value><nil><!-- nothing --></nil></value>", true},
		{"<value><nil>x</nil></value>", false},
		{"<value><nil><int>1</int></nil></value>", false},
		{"<value><ex:nil/></value>", true},
		{"<value" + ns + "><x:nil/></value>", true},
		{"<value><x:nil" + ns + "></x:nil></value>", true},
		{"<value><x:nil/></value>", false},
		{"<value xmlns:ex='urn:other'><ex:nil/></value>", false},
		{"<value" + ns + "><array xmlns:x='urn:other'><data><value><x:nil/></value></data></array></value>", false},
		{"<value" + ns + "><x:int>1</x:int></value>", false},
		{"<value><array><data><value" + ns + "><nil/></value><value><x:nil/></value></data></array></value>", false},
		{"<value><array><data><value" + ns + "/><value><x:nil/></value></data></array></value>", false},
		{"<value xmlns:x='http://ws.apache.org/xmlrpc/namespaces/e&#120;tensions'><x:nil/></value>", true},
	} {
		v := any("untouched")
		err := Unmarshal([]byte(c.doc), &v)
		if c.ok && (err != nil || v != nil) {
			t.Errorf("%s: got %v, %v, want nil", c.doc, v, err)
		}
		if !c.ok && FaultCode(err) != CodeInvalidRequest {
			t.Errorf("%s: got %v, %v, want error %d", c.doc, v, err, CodeInvalidRequest)
		}
		if _, err := ParseValue([]byte(c.doc), DecodeOptions{Strict: true}); FaultCode(err) != CodeInvalidRequest {
			t.Errorf("%s: strict: got %v, want error %d", c.doc, err, CodeInvalidRequest)
		}
	}
}

func TestDatesAreInTheLocationOfTheOptions(t *testing.T) {
	zone := time.FixedZone("", 2*3600)
	for doc, want := range map[string]time.Time{
		"19980717T14:08:55":  time.Date(1998, 7, 17, 12, 8, 55, 0, time.UTC),
		"19980717T14:08:55Z": time.Date(1998, 7, 17, 14, 8, 55, 0, time.UTC),
	} {
		v, err := ParseValue([]byte("<value><dateTime.iso8601>"+doc+"</dateTime.iso8601></value>"), DecodeOptions{Location: zone})
		if err != nil {
			t.Fatal(err)
		}
		var got time.Time
		if err := v.Decode(&got); err != nil || !got.Equal(want) || got.Location() != zone {
			t.Errorf("%s: got %v, %v, want %v", doc, got, err, want)
		}
	}
}

func TestOpaqueExtensionsAreRefusedUnlessAskedFor(t *testing.T) {
	for doc, want := range map[string]string{
		"<value><ex:dom><a x='1'><b/>text &amp; more</a></ex:dom></value>": "<a x='1'><b/>text &amp; more</a>",
		"<value><ex:dom/></value>":                               "",
		"<value><ex:serializable>aGk=</ex:serializable></value>": "hi",
	} {
		if err := Unmarshal([]byte(doc), new(any)); FaultCode(err) != CodeInvalidRequest {
			t.Errorf("%s: got %v, want error %d", doc, err, CodeInvalidRequest)
		}
		v, err := ParseValue([]byte(doc), DecodeOptions{Opaque: true})
		if err != nil {
			t.Errorf("%s: %v", doc, err)
			continue
		}
		var got []byte
		if err := v.Decode(&got); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v, want %q", doc, got, err, want)
		}
		if x, err := v.Any(); err != nil || string(x.([]byte)) != want {
			t.Errorf("%s: Any: got %q, %v, want %q", doc, x, err, want)
		}
	}
	for _, doc := range []string{
		"<value><ex:dom><a></ex:dom></value>",
		"<value><ex:dom><a></b></ex:dom></value>",
		"<value><ex:dom><1/></ex:dom></value>",
	} {
		if _, err := ParseValue([]byte(doc), DecodeOptions{Opaque: true}); FaultCode(err) != CodeNotWellFormed {
			t.Errorf("%s: got %v, want error %d", doc, err, CodeNotWellFormed)
		}
	}
}

func TestDecimalRatIsBounded(t *testing.T) {
	for _, c := range []struct {
		text Decimal
		want string
	}{{"1.50", "3/2"}, {"-2e3", "-2000"}, {"1E999999999", ""}, {"1e-10001", ""}, {"x", ""}, {"1/2", ""}} {
		r, err := c.text.Rat()
		if c.want == "" {
			if err == nil {
				t.Errorf("%s: got %v, want an error", c.text, r)
			}
			continue
		}
		if err != nil || r.RatString() != c.want {
			t.Errorf("%s: got %v, %v, want %s", c.text, r, err, c.want)
		}
	}
}
