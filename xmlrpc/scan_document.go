package xmlrpc

import "bytes"

// root reads the start tag of the root element, which must be want.
func (s *scanner) root(want element, name string) (t tag, ok bool) {
	pos := s.pos
	if t, ok = s.open(); !ok {
		return t, false
	}
	if t.elem != want {
		return t, s.fail(CodeInvalidRequest, pos, "the document is a <"+clip(s.data[t.start:t.end])+">, not a <"+name+">")
	}
	return t, true
}

// valueDocument reads a document that is a single value.
func (s *scanner) valueDocument() bool {
	t, ok := s.root(elemValue, "value")
	return ok && s.value(t)
}

// callDocument reads a methodCall: the name of the method and, in starts, the node
// where each parameter begins.
func (s *scanner) callDocument() (method string, ok bool) {
	root, ok := s.root(elemMethodCall, "methodCall")
	if !ok {
		return "", false
	}
	named, listed := false, false
	for !root.empty {
		if !s.toTag() {
			return "", false
		}
		if s.atEnd() {
			break
		}
		pos := s.pos
		t, ok := s.open()
		if !ok {
			return "", false
		}
		switch {
		case t.elem == elemMethodName && !named && !(listed && s.o.Strict):
			if method, ok = s.methodName(t); !ok {
				return "", false
			}
			named = true
		case t.elem == elemParams && !listed:
			if !s.params(t) {
				return "", false
			}
			listed = true
		default:
			return "", s.fail(CodeInvalidRequest, pos, "a call has a <"+clip(s.data[t.start:t.end])+"> too many, or too late")
		}
	}
	if !named {
		return "", s.fail(CodeInvalidRequest, s.pos, "a call has no method name")
	}
	return method, s.close(root)
}

// methodName reads the name of a method.
func (s *scanner) methodName(t tag) (string, bool) {
	mark := len(s.side)
	n, ok := s.leaf(t)
	if !ok {
		return "", false
	}
	text := s.data
	if n.flags&inSide != 0 {
		text = s.side
	}
	name := text[n.start:n.end]
	if !s.o.Strict {
		name = trimBlanks(name)
	}
	switch {
	case len(name) > maxMethod:
		return "", s.exceed("Method", maxMethod)
	case len(name) == 0:
		return "", s.fail(CodeInvalidRequest, int(n.more), "the method name is empty")
	case s.o.Strict && !isStrictMethod(name):
		return "", s.fail(CodeInvalidRequest, int(n.more), "the method name has a character that the specification does not allow")
	}
	method := string(name)
	s.side = s.side[:mark]
	return method, true
}

// isStrictMethod reports whether a method name has only the characters of the
// specification.
func isStrictMethod(name []byte) bool {
	for _, c := range name {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && classes[c]&classDigit == 0 && bytes.IndexByte([]byte("_.:/"), c) < 0 {
			return false
		}
	}
	return true
}

// params reads the parameters that follow the start tag t.
func (s *scanner) params(t tag) bool {
	for !t.empty {
		if !s.toTag() {
			return false
		}
		if s.atEnd() {
			return s.close(t)
		}
		pos := s.pos
		p, ok := s.open()
		if !ok {
			return false
		}
		if p.elem != elemParam {
			return s.fail(CodeInvalidRequest, pos, "there is a <"+clip(s.data[p.start:p.end])+"> where <param> should be")
		}
		if p.empty || !s.toTag() || s.atEnd() {
			return s.fail(CodeInvalidRequest, pos, "a parameter has no value")
		}
		s.starts = append(s.starts, uint32(len(s.nodes)))
		if !s.valueElement("a parameter") || !s.closeEmpty(p) {
			return false
		}
	}
	return true
}

// responseDocument reads a methodResponse. There is no node if it has no value.
func (s *scanner) responseDocument() (fault, ok bool) {
	root, ok := s.root(elemMethodResponse, "methodResponse")
	if !ok {
		return false, false
	}
	if root.empty || !s.toTag() || s.atEnd() {
		return false, s.fail(CodeInvalidRequest, s.pos, "a response has neither a result nor a fault")
	}
	pos := s.pos
	t, ok := s.open()
	if !ok {
		return false, false
	}
	switch t.elem {
	case elemParams:
		if !s.params(t) {
			return false, false
		}
		if n := len(s.starts); n > 1 || n == 0 && s.o.Strict {
			return false, s.fail(CodeInvalidRequest, pos, "a response has not exactly one result")
		}
	case elemFault:
		fault = true
		if !s.fault(t) {
			return false, false
		}
	default:
		return false, s.fail(CodeInvalidRequest, pos, "a response has <"+clip(s.data[t.start:t.end])+"> where <params> or <fault> should be")
	}
	return fault, s.closeEmpty(root)
}

// fault reads the value of a fault, which one implementation sends as a bare
// struct.
func (s *scanner) fault(t tag) bool {
	if t.empty || !s.toTag() || s.atEnd() {
		return s.fail(CodeInvalidRequest, s.pos, "a fault has no value")
	}
	pos := s.pos
	u, ok := s.open()
	if !ok {
		return false
	}
	switch {
	case u.elem == elemValue:
		ok = s.value(u)
	case u.elem == elemStruct && !s.o.Strict:
		ok = s.structure(u, pos)
	default:
		return s.fail(CodeInvalidRequest, pos, "a fault has <"+clip(s.data[u.start:u.end])+"> where <value> should be")
	}
	return ok && s.closeEmpty(t)
}
