# Values of XML-RPC as words, as value_test.go describes them.
require "xmlrpc/client"

# The library has nil and large integers, but not by default.
XMLRPC::Config.module_eval do
  %i[ENABLE_NIL_CREATE ENABLE_NIL_PARSER ENABLE_BIGINT].each do |name|
    remove_const(name)
    const_set(name, true)
  end
end

module Words
  module_function

  # Takes one value from the front of the list of words.
  def read(words)
    case kind = words.shift
    when "int", "i8" then words.shift.to_i
    when "boolean" then words.shift == "1"
    when "double" then words.shift.to_f
    when "date" then date(words.shift)
    when "string" then text(words.shift)
    when "base64" then XMLRPC::Base64.new(text(words.shift).b)
    when "array" then Array.new(words.shift.to_i) { read(words) }
    when "struct" then Array.new(words.shift.to_i) { [text(words.shift), read(words)] }.to_h
    when "nil" then nil
    else raise "what is #{kind}"
    end
  end

  def date(text)
    XMLRPC::DateTime.new(*text.unpack("a4a2a2xa2xa2xa2").map(&:to_i))
  end

  # Returns the words for a value.
  def write(value)
    case value
    when nil then "nil"
    when Integer then "#{value.bit_length < 32 ? 'int' : 'i8'} #{value}"
    when true then "boolean 1"
    when false then "boolean 0"
    when Float then "double #{value}"
    when XMLRPC::DateTime then value.to_time.strftime("date %Y%m%dT%H:%M:%S")
    # What comes as base64 is a string without an encoding.
    when String then "#{value.encoding == Encoding::BINARY ? 'base64' : 'string'} #{word(value)}"
    when Array then ["array #{value.size}", *value.map { |v| write(v) }].join(" ")
    when Hash then ["struct #{value.size}", *value.flat_map { |k, v| [word(k), write(v)] }].join(" ")
    when XMLRPC::FaultException then "fault #{value.faultCode} #{word(value.faultString)}"
    else error("what is #{value.class}")
    end
  end

  def error(text)
    "error #{word(text)}"
  end

  def text(word)
    [word[1..]].pack("H*").force_encoding(Encoding::UTF_8)
  end

  def word(text)
    "x" + text.b.unpack1("H*")
  end
end
