package xmlrpc

// any is the value at i as a value of the Go type that is natural for its kind.
func (d *document) any(i uint32) (any, error) {
	if k := d.nodes[i].kind; k == KindArray || k == KindStruct {
		var names nameCache
		return d.anyOf(i, &names)
	}
	return d.anyOf(i, nil)
}

// anyOf is any; names may be nil if the value is neither an array nor a struct.
func (d *document) anyOf(i uint32, names *nameCache) (any, error) {
	n := &d.nodes[i]
	switch n.kind {
	case KindInt, KindI8:
		v, err := d.integer(i)
		if err != nil {
			return nil, err
		}
		if int64(int(v)) != v {
			return v, nil
		}
		return int(v), nil
	case KindString:
		return string(d.text(n)), nil
	case KindBoolean:
		return orNil(d.boolean(i))
	case KindDouble:
		return orNil(d.double(i))
	case KindDateTime:
		return orNil(d.dateTime(i))
	case KindBase64, KindSerializable:
		return orNil(d.base64(i))
	case KindBigInteger:
		return orNil(d.bigInteger(i))
	case KindBigDecimal:
		return orNil(d.decimal(i))
	case KindDOM:
		return append([]byte{}, d.text(n)...), nil
	case KindArray:
		list := make([]any, n.end)
		at := i + 1
		for k := range list {
			var err error
			if list[k], err = d.anyOf(at, names); err != nil {
				return nil, inIndex(err, k)
			}
			at = d.after(at)
		}
		return list, nil
	case KindStruct:
		members := make(map[string]any, n.end)
		at := i + 1
		for range n.end {
			name := names.string(d.text(&d.nodes[at]))
			x, err := d.anyOf(at+1, names)
			if err != nil {
				return nil, inMember(err, name)
			}
			members[name] = x
			at = d.after(at + 1)
		}
		return members, nil
	}
	return nil, nil // KindNil
}

// orNil is v as an any, or nil if there is an error.
func orNil[T any](v T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}

// nameCache has names of members that were seen, so that the structs of a list
// share them. Each name has two places; one that lost both is made again.
type nameCache [256]string

func (c *nameCache) string(b []byte) string {
	if len(b) > 64 {
		return string(b)
	}
	h := uint32(len(b))
	for _, x := range b {
		h = h*31 + uint32(x)
	}
	first, second := &c[(h^h>>8)&0xFF], &c[(h>>16^h>>5)&0xFF]
	switch string(b) {
	case *first:
		return *first
	case *second:
		return *second
	}
	if *first != "" {
		*second = *first
	}
	*first = string(b)
	return *first
}
