// Calls the cases on its standard input with aXMLRPC.

import de.timroes.axmlrpc.XMLRPCClient;
import de.timroes.axmlrpc.XMLRPCException;
import de.timroes.axmlrpc.XMLRPCServerException;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.text.SimpleDateFormat;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Date;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;

class AxmlrpcClient {
    static SimpleDateFormat isoDate() {
        return new SimpleDateFormat("yyyyMMdd'T'HH:mm:ss");
    }

    // take takes one value from the words.
    static Object take(Queue<String> words) throws Exception {
        String kind = words.remove();
        switch (kind) {
            case "nil":
                return null;
            case "array":
                List<Object> list = new ArrayList<>();
                for (int n = Integer.parseInt(words.remove()); n > 0; n--) {
                    list.add(take(words));
                }
                return list;
            case "struct":
                Map<String, Object> members = new HashMap<>();
                for (int n = Integer.parseInt(words.remove()); n > 0; n--) {
                    String name = new String(bytes(words.remove()), StandardCharsets.UTF_8);
                    members.put(name, take(words));
                }
                return members;
        }
        String text = words.remove();
        switch (kind) {
            case "int":
                return Integer.valueOf(text);
            case "i8":
                return Long.valueOf(text);
            case "boolean":
                return text.equals("1");
            case "double":
                return Double.valueOf(text);
            case "string":
                return new String(bytes(text), StandardCharsets.UTF_8);
            case "base64":
                return bytes(text);
            case "date":
                return isoDate().parse(text);
        }
        throw new IllegalArgumentException("what is " + kind);
    }

    static void show(StringBuilder out, Object v) {
        if (v == null) {
            out.append("nil");
        } else if (v instanceof Integer) {
            out.append("int ").append(v);
        } else if (v instanceof Long) {
            out.append("i8 ").append(v);
        } else if (v instanceof Boolean) {
            out.append((Boolean) v ? "boolean 1" : "boolean 0");
        } else if (v instanceof Double) {
            out.append("double ").append(v);
        } else if (v instanceof String) {
            out.append("string ").append(word(((String) v).getBytes(StandardCharsets.UTF_8)));
        } else if (v instanceof byte[]) {
            out.append("base64 ").append(word((byte[]) v));
        } else if (v instanceof Date) {
            out.append("date ").append(isoDate().format((Date) v));
        } else if (v instanceof Object[]) {
            Object[] list = (Object[]) v;
            out.append("array ").append(list.length);
            for (Object e : list) {
                show(out.append(" "), e);
            }
        } else {
            Map<?, ?> members = (Map<?, ?>) v;
            out.append("struct ").append(members.size());
            for (Map.Entry<?, ?> m : members.entrySet()) {
                out.append(" ").append(word(m.getKey().toString().getBytes(StandardCharsets.UTF_8))).append(" ");
                show(out, m.getValue());
            }
        }
    }

    static byte[] bytes(String word) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        for (int i = 1; i < word.length(); i += 2) {
            out.write(Integer.parseInt(word.substring(i, i + 2), 16));
        }
        return out.toByteArray();
    }

    static String word(byte[] text) {
        StringBuilder out = new StringBuilder("x");
        for (byte b : text) {
            out.append(Character.forDigit(b >> 4 & 15, 16)).append(Character.forDigit(b & 15, 16));
        }
        return out.toString();
    }

    static String fault(int code, String text) {
        return "fault " + code + " " + word(text.getBytes(StandardCharsets.UTF_8));
    }

    static String call(URL url, String method, Queue<String> words) throws Exception {
        // Untyped strings, nil and i8 are read only if one asks for it.
        int flags = XMLRPCClient.FLAGS_DEFAULT_TYPE_STRING | XMLRPCClient.FLAGS_NIL | XMLRPCClient.FLAGS_8BYTE_INT;
        XMLRPCClient client = new XMLRPCClient(url, flags);
        StringBuilder out = new StringBuilder();
        if (!method.equals("system.multicall")) {
            show(out, words.isEmpty() ? client.call(method) : client.call(method, new Object[] {take(words)}));
            return out.toString();
        }
        // The library has no more of it than the method itself.
        Object batch = Arrays.asList(entry("add", 3, 4), entry("probe.fault", 1));
        Object[] slots = (Object[]) client.call(method, batch);
        out.append("array ").append(slots.length);
        for (Object slot : slots) {
            out.append(" ");
            if (slot instanceof Map) {
                Map<?, ?> f = (Map<?, ?>) slot;
                out.append(fault((Integer) f.get("faultCode"), (String) f.get("faultString")));
            } else {
                show(out, ((Object[]) slot)[0]);
            }
        }
        return out.toString();
    }

    static Map<String, Object> entry(String method, Object... params) {
        Map<String, Object> entry = new HashMap<>();
        entry.put("methodName", method);
        entry.put("params", params);
        return entry;
    }

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            Queue<String> words = new ArrayDeque<>(Arrays.asList(line.split(" ")));
            String name = words.remove();
            String got;
            try {
                got = call(new URL(words.remove()), words.remove(), words);
            } catch (XMLRPCServerException e) {
                // getMessage adds the code to what the server said.
                got = fault(e.getErrorNr(), e.getMessage().replaceFirst(" \\[" + e.getErrorNr() + "\\]$", ""));
            } catch (XMLRPCException | RuntimeException e) {
                got = "error " + word(e.toString().getBytes(StandardCharsets.UTF_8));
            }
            System.out.println("{\"case\": \"" + name + "\", \"got\": \"" + got + "\"}");
        }
    }
}
