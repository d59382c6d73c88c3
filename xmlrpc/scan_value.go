package xmlrpc

// value reads what follows the start tag t of a value, up to its end tag.
func (s *scanner) value(t tag) bool {
	if s.depth++; s.depth > s.lim.Depth {
		return s.exceed("Depth", s.lim.Depth)
	}
	if !s.content(t) {
		return false
	}
	s.depth--
	return true
}

// content reads the text or the one element in a value.
func (s *scanner) content(t tag) bool {
	if t.empty {
		s.nodes = append(s.nodes, node{start: uint32(s.pos), end: uint32(s.pos), more: uint32(s.pos), kind: KindString})
		return true
	}
	// The common case is an element right here.
	if s.pos+1 >= len(s.data) {
		return s.ended()
	}
	if s.data[s.pos] != '<' || classes[s.data[s.pos+1]]&classNameStart == 0 {
		mark := len(s.side)
		n, ok := s.text()
		if !ok {
			return false
		}
		if s.atEnd() {
			n.kind = KindString
			s.nodes = append(s.nodes, n)
			return s.close(t)
		}
		if !s.blank(n) {
			return false
		}
		s.side = s.side[:mark]
	}
	pos := s.pos
	u, ok := s.open()
	if !ok {
		return false
	}
	if u.elem >= elemNil || u.elem == elemI8 || u.elem == elemI1 || u.elem == elemI2 {
		if s.o.Strict {
			return s.fail(CodeInvalidRequest, pos, "<"+string(s.data[u.start:u.end])+"> is an extension")
		}
	}
	if !s.typed(u, pos) {
		return false
	}
	if s.pos+1 >= len(s.data) || s.data[s.pos] != '<' || s.data[s.pos+1] != '/' {
		if !s.toTag() {
			return false
		}
		if !s.atEnd() {
			return s.unexpected("a value has a second element in it")
		}
	}
	return s.close(t)
}

// typed reads what follows the start tag u of an element that gives a value its
// type, which was at pos.
func (s *scanner) typed(u tag, pos int) bool {
	switch u.elem {
	case elemInt:
		return s.number(u, KindInt, 0)
	case elemString:
		return s.scalar(u, KindString, 0)
	case elemStruct:
		return s.structure(u, pos)
	case elemArray:
		return s.array(u, pos)
	case elemBoolean:
		return s.scalar(u, KindBoolean, 0)
	case elemDouble:
		return s.number(u, KindDouble, 0)
	case elemDateTime:
		return s.scalar(u, KindDateTime, 0)
	case elemBase64:
		return s.scalar(u, KindBase64, 0)
	case elemI8:
		return s.number(u, KindI8, isExtra)
	case elemI1:
		return s.number(u, KindInt, isI1|isExtra)
	case elemI2:
		return s.number(u, KindInt, isI2|isExtra)
	case elemFloat:
		return s.number(u, KindDouble, isExtra)
	case elemBigInteger:
		return s.number(u, KindBigInteger, isExtra)
	case elemBigDecimal:
		return s.number(u, KindBigDecimal, isExtra)
	case elemExDateTime:
		return s.scalar(u, KindDateTime, isExtra)
	case elemNil:
		return s.nothing(u)
	case elemDOM:
		if s.o.Opaque {
			return s.dom(u)
		}
		return s.fail(CodeInvalidRequest, pos, "embedded XML is not accepted")
	case elemSerializable:
		if s.o.Opaque {
			return s.scalar(u, KindSerializable, isExtra)
		}
		return s.fail(CodeInvalidRequest, pos, "serialised objects are not accepted")
	}
	return s.fail(CodeInvalidRequest, pos, "a value has no type <"+clip(s.data[u.start:u.end])+">")
}

// scalar reads the text of u and its end tag.
func (s *scanner) scalar(u tag, k Kind, flags nodeFlags) bool {
	n, ok := s.leaf(u)
	if !ok {
		return false
	}
	n.kind = k
	n.flags |= flags
	s.nodes = append(s.nodes, n)
	return true
}

// number is scalar for what may not be as long as other texts.
func (s *scanner) number(u tag, k Kind, flags nodeFlags) bool {
	if !s.scalar(u, k, flags) {
		return false
	}
	if n := &s.nodes[len(s.nodes)-1]; int(n.end-n.start) > s.lim.Number {
		return s.exceed("Number", s.lim.Number)
	}
	return true
}

// nothing is scalar for nil, which has no text.
func (s *scanner) nothing(u tag) bool {
	mark := len(s.side)
	if !s.scalar(u, KindNil, isExtra) {
		return false
	}
	n := &s.nodes[len(s.nodes)-1]
	if n.start == n.end {
		return true
	}
	if !s.blank(*n) {
		return false
	}
	s.side = s.side[:mark]
	n.flags &^= inSide
	n.start, n.end = n.more, n.more
	return true
}

// leaf reads the text of an element without others in it, and its end tag.
func (s *scanner) leaf(u tag) (n node, ok bool) {
	if u.empty {
		return node{start: uint32(s.pos), end: uint32(s.pos), more: uint32(s.pos)}, true
	}
	if n, ok = s.text(); !ok {
		return n, false
	}
	if !s.atEnd() {
		return n, s.unexpected("<" + clip(s.data[u.start:u.end]) + "> may have no element in it")
	}
	return n, s.close(u)
}

// array reads what follows the start tag u of an array that was at pos.
func (s *scanner) array(u tag, pos int) bool {
	at := len(s.nodes)
	s.nodes = append(s.nodes, node{start: uint32(pos), kind: KindArray})
	count, ok := uint32(0), true
	if !u.empty {
		if !s.toTag() {
			return false
		}
		if !s.atEnd() {
			if count, ok = s.elementsOf(); !ok || !s.closeEmpty(u) {
				return false
			}
		} else if ok = s.o.Strict; ok {
			return s.fail(CodeInvalidRequest, s.pos, "an array has no data")
		} else if !s.close(u) {
			return false
		}
	} else if s.o.Strict {
		return s.fail(CodeInvalidRequest, s.pos, "an array has no data")
	}
	s.nodes[at].end, s.nodes[at].more = count, uint32(len(s.nodes))
	return true
}

// elementsOf reads the data of an array.
func (s *scanner) elementsOf() (count uint32, ok bool) {
	pos := s.pos
	t, ok := s.open()
	if !ok {
		return 0, false
	}
	if t.elem != elemData {
		return 0, s.fail(CodeInvalidRequest, pos, "an array has <"+clip(s.data[t.start:t.end])+"> where <data> should be")
	}
	if t.empty {
		return 0, true
	}
	for ; ; count++ {
		if !s.toTag() {
			return 0, false
		}
		if s.atEnd() {
			return count, s.close(t)
		}
		if !s.valueElement("an array") {
			return 0, false
		}
	}
}

// valueElement reads a whole value, which must be at pos.
func (s *scanner) valueElement(where string) bool {
	pos := s.pos
	v, ok := s.open()
	if !ok {
		return false
	}
	if v.elem != elemValue {
		return s.fail(CodeInvalidRequest, pos, where+" has <"+clip(s.data[v.start:v.end])+"> where <value> should be")
	}
	return s.value(v)
}

// structure reads what follows the start tag u of a struct that was at pos.
func (s *scanner) structure(u tag, pos int) bool {
	at := len(s.nodes)
	s.nodes = append(s.nodes, node{start: uint32(pos), kind: KindStruct})
	count := 0
	for !u.empty {
		if !s.toTag() {
			return false
		}
		if s.atEnd() {
			if !s.close(u) {
				return false
			}
			break
		}
		if !s.member() {
			return false
		}
		count++
	}
	s.nodes[at].end, s.nodes[at].more = uint32(count), uint32(len(s.nodes))
	return s.o.LastWins || s.distinct(at, count)
}

// member reads a member of a struct, into the node of its name and those of its
// value. The name comes first, but not everybody knows.
func (s *scanner) member() bool {
	pos := s.pos
	m, ok := s.open()
	if !ok {
		return false
	}
	if m.elem != elemMember {
		return s.fail(CodeInvalidRequest, pos, "a struct has <"+clip(s.data[m.start:m.end])+"> where <member> should be")
	}
	at := len(s.nodes)
	s.nodes = append(s.nodes, node{})
	named, valued := false, false
	for !m.empty {
		if !s.toTag() {
			return false
		}
		if s.atEnd() {
			break
		}
		pos := s.pos
		t, ok := s.open()
		if !ok {
			return false
		}
		switch {
		case t.elem == elemName && !named && !(valued && s.o.Strict):
			n, ok := s.leaf(t)
			if !ok {
				return false
			}
			n.kind = KindString
			s.nodes[at] = n
			named = true
		case t.elem == elemValue && !valued:
			if !s.value(t) {
				return false
			}
			valued = true
		default:
			return s.fail(CodeInvalidRequest, pos, "a member has a <"+clip(s.data[t.start:t.end])+"> too many, or too late")
		}
	}
	if !named || !valued {
		return s.fail(CodeInvalidRequest, pos, "a member lacks its name or its value")
	}
	return s.close(m)
}

// distinct makes sure that the members of the struct at node at have different
// names.
func (s *scanner) distinct(at, count int) bool {
	if count < 2 {
		return true
	}
	names := s.memberNames(at, count)
	i, twice := s.seen.duplicate(count, func(i int) []byte { return s.nameText(names[i]) })
	s.names = names[:0]
	if twice {
		n := names[i]
		return s.fail(CodeInvalidRequest, int(s.nodes[n].more), "a struct has two members named "+quote(clip(s.nameText(n))))
	}
	return true
}

// memberNames are the nodes of the names of the struct at node at.
func (s *scanner) memberNames(at, count int) []uint32 {
	names := s.names[:0]
	for i := uint32(at + 1); len(names) < count; {
		names = append(names, i)
		if v := s.nodes[i+1]; v.kind == KindArray || v.kind == KindStruct {
			i = v.more
		} else {
			i += 2
		}
	}
	return names
}

func (s *scanner) nameText(i uint32) []byte {
	n := &s.nodes[i]
	if n.flags&inSide != 0 {
		return s.side[n.start:n.end]
	}
	return s.data[n.start:n.end]
}

// dom reads an element with any XML in it: well-formed, but of no grammar.
func (s *scanner) dom(u tag) bool {
	start, end := s.pos, s.pos
	var stack []tag
	for !u.empty {
		mark := len(s.side)
		if _, ok := s.text(); !ok {
			return false
		}
		s.side = s.side[:mark]
		end = s.pos
		if s.atEnd() {
			if len(stack) == 0 {
				if !s.close(u) {
					return false
				}
				break
			}
			if !s.close(stack[len(stack)-1]) {
				return false
			}
			stack = stack[:len(stack)-1]
			continue
		}
		t, ok := s.open()
		if !ok {
			return false
		}
		if !t.empty {
			if stack = append(stack, t); len(stack) > s.lim.Depth {
				return s.exceed("Depth", s.lim.Depth)
			}
		}
	}
	s.nodes = append(s.nodes, node{start: uint32(start), end: uint32(end), more: uint32(start), kind: KindDOM, flags: isExtra})
	return true
}

// clip is a name for a message.
func clip(b []byte) string {
	const most = 64
	if len(b) > most {
		return string(b[:most]) + "..."
	}
	return string(b)
}
