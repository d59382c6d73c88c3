-- Calls the cases on its standard input with Lua's xmlrpc.
require "xmlrpc.http"

local function text(word)
  return (word:sub(2):gsub("%x%x", function(h) return string.char(tonumber(h, 16)) end))
end

local function word(s)
  return "x" .. s:gsub(".", function(c) return string.format("%02x", c:byte()) end)
end

-- read takes one value from words, at words.at; nil if the library has no type for it.
local function read(words)
  local function shift()
    words.at = words.at + 1
    return words[words.at - 1]
  end
  local kind = shift()
  if kind == "int" then
    return xmlrpc.newTypedValue(shift(), "int")
  elseif kind == "double" then
    return xmlrpc.newTypedValue(tonumber(shift()), "double")
  elseif kind == "boolean" then
    return shift() == "1"
  elseif kind == "string" then
    return text(shift())
  elseif kind == "array" then
    local list = {}
    for i = 1, tonumber(shift()) do list[i] = read(words) end
    return xmlrpc.newTypedValue(list, xmlrpc.newArray())
  elseif kind == "struct" then
    local members = {}
    for _ = 1, tonumber(shift()) do
      local name = text(shift())
      members[name] = read(words)
    end
    return members
  end
  return nil
end

local function write(v)
  if type(v) == "nil" then
    return "nil"
  elseif type(v) == "boolean" then
    return "boolean " .. (v and 1 or 0)
  elseif type(v) == "number" then
    return string.format("double %.17g", v)
  elseif type(v) == "string" then
    return "string " .. word(v)
  end
  local out = {}
  if #v > 0 then
    for _, e in ipairs(v) do out[#out + 1] = write(e) end
    return "array " .. #out .. " " .. table.concat(out, " ")
  end
  for name, e in pairs(v) do out[#out + 1] = word(name) .. " " .. write(e) end
  return "struct " .. #out .. " " .. table.concat(out, " ")
end

local function fault(text, code)
  return string.format("fault %d %s", code, word(text))
end

local function call(url, method, words)
  if method == "system.multicall" then
    -- The library has no more of it than the method itself.
    local function list(v) return xmlrpc.newTypedValue(v, xmlrpc.newArray()) end
    local _, result = xmlrpc.http.call(url, method, list {
      { methodName = "add", params = list { 3, 4 } },
      { methodName = "probe.fault", params = list { 1 } },
    })
    return "array 2 " .. write(result[1][1]) .. " " .. fault(result[2].faultString, result[2].faultCode)
  end
  local ok, result, code
  local value = words[4] and read(words)
  if value == nil then
    -- What it cannot send it may read.
    ok, result, code = xmlrpc.http.call(url, method)
  else
    ok, result, code = xmlrpc.http.call(url, method, value)
  end
  return ok and write(result) or fault(result, code)
end

for line in io.lines() do
  local words = { at = 4 }
  for w in line:gmatch("%S+") do words[#words + 1] = w end
  local ok, got = pcall(call, words[2], words[3], words)
  if not ok then
    got = "error " .. word(tostring(got))
  end
  print(string.format('{"case": "%s", "got": "%s"}', words[1], got))
end
