// Calls the cases on its standard input with XmlRpc++, of which there are two
// offspring: libxmlrpcpp of ROS, and libflxmlrpc of fldigi if FLXMLRPC is defined.
#include <cstdio>
#include <ctime>
#include <iostream>
#include <sstream>
#include <string>

#ifdef FLXMLRPC
#include <flxmlrpc/XmlRpc.h>
#else
#include <xmlrpcpp/XmlRpc.h>
#endif

using XmlRpc::XmlRpcClient;
using XmlRpc::XmlRpcValue;

static std::string hex(const std::string &text) {
	static const char digits[] = "0123456789abcdef";
	std::string out = "x";
	for (unsigned char c : text) {
		out += digits[c >> 4];
		out += digits[c & 15];
	}
	return out;
}

static std::string unhex(const std::string &word) {
	std::string out;
	for (size_t i = 1; i + 1 < word.size(); i += 2)
		out += char(std::stoi(word.substr(i, 2), nullptr, 16));
	return out;
}

static std::string next(std::istream &words) {
	std::string w;
	words >> w;
	return w;
}

// take takes one value from the words.
static XmlRpcValue take(std::istream &words) {
	std::string kind = next(words);
	if (kind == "array") {
		XmlRpcValue list;
		int n = std::stoi(next(words));
		list.setSize(n);
		for (int i = 0; i < n; i++)
			list[i] = take(words);
		return list;
	}
	if (kind == "struct") {
		XmlRpcValue members;
		int n = std::stoi(next(words));
		// There is no other way to an empty one.
		if (n == 0) {
			int offset = 0;
			members.fromXml("<value><struct></struct></value>", &offset);
		}
		while (n-- > 0) {
			std::string name = unhex(next(words));
			members[name] = take(words);
		}
		return members;
	}
#ifdef FLXMLRPC
	if (kind == "nil")
		return XmlRpcValue(XmlRpc::nil);
#endif
	std::string text = next(words);
	if (kind == "int")
		return XmlRpcValue(std::stoi(text));
#ifdef FLXMLRPC
	if (kind == "i8")
		return XmlRpcValue(std::stoll(text));
#endif
	if (kind == "boolean")
		return XmlRpcValue(text == "1");
	if (kind == "double")
		return XmlRpcValue(std::stod(text));
	if (kind == "string")
		return XmlRpcValue(unhex(text));
	if (kind == "base64") {
		std::string bytes = unhex(text);
		return XmlRpcValue((void *)bytes.data(), int(bytes.size()));
	}
	struct tm t = {};
	std::sscanf(text.c_str(), "%4d%2d%2dT%2d:%2d:%2d", &t.tm_year, &t.tm_mon, &t.tm_mday, &t.tm_hour, &t.tm_min, &t.tm_sec);
#ifdef FLXMLRPC // Elsewhere it is not to be a proper struct tm.
	t.tm_year -= 1900;
	t.tm_mon--;
#endif
	t.tm_isdst = -1;
	return XmlRpcValue(&t);
}

static std::string show(XmlRpcValue &v) {
	char out[512];
	switch (v.getType()) {
	case XmlRpcValue::TypeInt:
		return "int " + std::to_string(int(v));
	case XmlRpcValue::TypeBoolean:
		return bool(v) ? "boolean 1" : "boolean 0";
	case XmlRpcValue::TypeDouble:
		std::snprintf(out, sizeof out, "double %.17g", double(v));
		return out;
	case XmlRpcValue::TypeString:
		return "string " + hex((std::string &)v);
	case XmlRpcValue::TypeBase64: {
		XmlRpcValue::BinaryData &data = v;
		return "base64 " + hex(std::string(data.begin(), data.end()));
	}
	case XmlRpcValue::TypeDateTime: {
		struct tm t = v;
#ifndef FLXMLRPC
		t.tm_year -= 1900;
		t.tm_mon--;
#endif
		std::snprintf(out, sizeof out, "date %04d%02d%02dT%02d:%02d:%02d", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec);
		return out;
	}
	case XmlRpcValue::TypeArray: {
		std::string list = "array " + std::to_string(v.size());
		for (int i = 0; i < v.size(); i++)
			list += " " + show(v[i]);
		return list;
	}
	case XmlRpcValue::TypeStruct: {
		std::string members = "struct " + std::to_string(v.size());
#ifdef FLXMLRPC
		const XmlRpcValue::ValueStruct &all = v;
		for (auto &m : all) {
			XmlRpcValue copy = m.second;
			members += " " + hex(m.first) + " " + show(copy);
		}
#else
		for (auto &m : v)
			members += " " + hex(m.first) + " " + show(m.second);
#endif
		return members;
	}
#ifdef FLXMLRPC
	case XmlRpcValue::TypeNil:
		return "nil";
	case XmlRpcValue::TypeLongLong:
		return "i8 " + std::to_string((long long)(v));
#endif
	default:
		return "error " + hex("a value of no type");
	}
}

static std::string fault(XmlRpcValue &f) {
	return "fault " + std::to_string(int(f["faultCode"])) + " " + hex((std::string &)f["faultString"]);
}

static std::string call(const std::string &url, const std::string &method, std::istream &words) {
	size_t slash = url.find('/', 7), colon = url.find(':', 7);
	std::string host = url.substr(7, colon - 7), path = url.substr(slash);
	int port = std::stoi(url.substr(colon + 1, slash - colon - 1));
	XmlRpcClient client(host.c_str(), port, path.c_str());

	XmlRpcValue args, result;
	bool batch = method == "system.multicall";
	if (batch) {
		// The library has no more of it than the method itself.
		XmlRpcValue calls;
		calls[0]["methodName"] = "add";
		calls[0]["params"][0] = 3;
		calls[0]["params"][1] = 4;
		calls[1]["methodName"] = "probe.fault";
		calls[1]["params"][0] = 1;
		args[0] = calls;
	} else if (words >> std::ws, !words.eof()) {
		std::string rest;
		std::getline(words, rest);
#ifndef FLXMLRPC
		if (rest == "nil" || rest.substr(0, 3) == "i8 ")
			return "lacks";
#endif
		std::istringstream in(rest);
		args[0] = take(in);
	} else {
		args.setSize(0);
	}
	if (!client.execute(method.c_str(), args, result))
		return "error " + hex("execute returns false");
	if (client.isFault())
		return fault(result);
	if (!batch)
		return show(result);
	std::string out = "array 2";
	for (int i = 0; i < 2; i++) {
		XmlRpcValue &slot = result[i];
		out += " " + (slot.getType() == XmlRpcValue::TypeStruct ? fault(slot) : show(slot[0]));
	}
	return out;
}

int main() {
	for (std::string line; std::getline(std::cin, line);) {
		std::istringstream words(line);
		std::string name = next(words), url = next(words), method = next(words), got;
		try {
			got = call(url, method, words);
		} catch (const XmlRpc::XmlRpcException &e) {
			got = "error " + hex(e.getMessage());
		}
		std::cout << "{\"case\": \"" << name << "\", \"got\": \"" << got << "\"}" << std::endl;
	}
	return 0;
}
