package xmlrpc

import (
	"bytes"
	"io"
)

// An Encoder writes documents to a stream, each in one Write and only if all of it
// could be encoded. It is for one goroutine at a time.
type Encoder struct {
	w   io.Writer
	o   EncodeOptions
	buf []byte
}

// NewEncoder returns an Encoder that writes to w.
func NewEncoder(w io.Writer, o EncodeOptions) *Encoder { return &Encoder{w: w, o: o} }

// Encode writes v as a <value> element.
func (e *Encoder) Encode(v any) error { return e.write(AppendValue(e.buf[:0], v, e.o)) }

// EncodeRequest writes a methodCall document.
func (e *Encoder) EncodeRequest(method string, args ...any) error {
	return e.write(AppendRequest(e.buf[:0], e.o, method, args...))
}

// EncodeResponse writes a methodResponse document with a result.
func (e *Encoder) EncodeResponse(result any) error {
	return e.write(AppendResponse(e.buf[:0], result, e.o))
}

// EncodeFault writes a methodResponse document with a fault.
func (e *Encoder) EncodeFault(f *Fault) error { return e.write(AppendFault(e.buf[:0], f), nil) }

func (e *Encoder) write(doc []byte, err error) error {
	if err != nil {
		return err
	}
	if cap(doc) <= maxKept {
		e.buf = doc
	}
	_, err = e.w.Write(doc)
	return err
}

// A Decoder reads one document from a stream, which it reads to its end, within
// Limits.Bytes. A document is read before anything is decoded, so what is decoded
// has its own memory. It is for one goroutine at a time.
type Decoder struct {
	r io.Reader
	o DecodeOptions
}

// NewDecoder returns a Decoder that reads from r.
func NewDecoder(r io.Reader, o DecodeOptions) *Decoder { return &Decoder{r: r, o: o} }

// Decode reads a document that is a single <value> element into what v points to.
func (d *Decoder) Decode(v any) error {
	data, err := d.read()
	if err != nil {
		return err
	}
	return unmarshal(data, v, &d.o)
}

// DecodeRequest reads a methodCall document, as [ParseRequest] does.
func (d *Decoder) DecodeRequest() (*Request, error) {
	data, err := d.read()
	if err != nil {
		return nil, err
	}
	return ParseRequest(data, d.o)
}

// DecodeResponse reads a methodResponse document, as [ParseResponse] does.
func (d *Decoder) DecodeResponse() (RawValue, error) {
	data, err := d.read()
	if err != nil {
		return RawValue{}, err
	}
	return ParseResponse(data, d.o)
}

// read reads to the end, and one byte more than is allowed at most.
func (d *Decoder) read() ([]byte, error) {
	limit := d.o.Limits.withDefaults().Bytes
	var buf bytes.Buffer
	n, err := buf.ReadFrom(io.LimitReader(d.r, int64(limit)+1))
	if err != nil {
		return nil, err
	}
	if n > int64(limit) {
		return nil, &LimitError{Name: "Bytes", Limit: limit, Offset: limit}
	}
	return buf.Bytes(), nil
}
