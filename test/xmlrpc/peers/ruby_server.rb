# Serves the cases by Ruby's xmlrpc, on WEBrick.
require_relative "words"
require "xmlrpc/server"

server = XMLRPC::Server.new(0, "127.0.0.1", 4, $stderr)
server.add_handler("describe") { |value| Words.write(value) }
server.add_handler("echo") do |value|
  # What came as base64 goes back as such only if one says so.
  value.is_a?(String) && value.encoding == Encoding::BINARY ? XMLRPC::Base64.new(value) : value
end
server.add_handler("none") { "nothing" }
server.add_handler("fault") { |_| raise XMLRPC::FaultException.new(42, "no such luck: <&>") }
server.add_handler("add") { |x, y| x + y }
server.add_introspection
server.add_multicall
$stdout.sync = true
puts "http://127.0.0.1:#{server.port}/RPC2"
server.serve
