# Calls the cases on its standard input with Ruby's xmlrpc.
require "json"
require_relative "words"

def call(url, method, args)
  client = XMLRPC::Client.new2(url)
  return client.multicall(["add", 3, 4], ["probe.fault", 1]) if method == "system.multicall"

  client.call(method, *args)
end

$stdout.sync = true
$stdin.each_line do |line|
  name, url, method, *words = line.split
  got = begin
    Words.write(call(url, method, words.empty? ? [] : [Words.read(words)]))
  rescue XMLRPC::FaultException => e
    Words.write(e)
  rescue StandardError => e
    Words.error("#{e.class}: #{e.message}")
  end
  puts JSON.generate(case: name, got: got)
end
