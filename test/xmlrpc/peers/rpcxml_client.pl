# Calls the cases on its standard input with Perl's RPC::XML.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use RPC::XML;
use RPC::XML::Client;
use RpcXmlWords;
use Words;

$RPC::XML::ENCODING = 'utf-8';
$RPC::XML::ALLOW_NIL = 1;

Words::each_case(sub {
    my ($url, $method, $value) = @_;
    my $client = RPC::XML::Client->new($url);
    if (grep { $_ eq 'compress' } @ARGV) {
        $client->compress_requests(1);
        $client->compress_thresh(0);
    }
    my @args = defined $value ? RpcXmlWords::make($value) : ();
    # The library has no more of it than the method itself.
    @args = [{methodName => 'add', params => [3, 4]}, {methodName => 'probe.fault', params => [1]}]
        if $method eq 'system.multicall';
    my $result = $client->send_request($method, @args);
    die "$result\n" unless ref $result;
    return Words::fault($result->code, $result->string) if $result->is_fault;
    return RpcXmlWords::write($result) if $method ne 'system.multicall';
    return Words::array(map {
        ref $_ eq 'HASH' ? Words::fault($_->{faultCode}, $_->{faultString}) : RpcXmlWords::write(RPC::XML::smart_encode($_->[0]))
    } @{$result->value});
});
