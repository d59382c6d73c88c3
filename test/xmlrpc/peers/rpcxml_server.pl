# Serves the cases by Perl's RPC::XML::Server.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use RPC::XML;
use RPC::XML::Server;
use Words;

$RPC::XML::ENCODING = 'utf-8';
$RPC::XML::ALLOW_NIL = 1;

# describe: the words for an argument, which comes without its type.
sub describe {
    my $value = shift;
    return 'nil' unless defined $value;
    return Words::array(map { describe($_) } @$value) if ref $value eq 'ARRAY';
    return Words::struct(map { ($_, describe($value->{$_})) } keys %$value) if ref $value eq 'HASH';
    return 'scalar ' . Words::text($value);
}

my $server = RPC::XML::Server->new(host => '127.0.0.1', port => 0, path => '/RPC2');
die $server unless ref $server;
my %methods = (
    describe => sub { RPC::XML::string->new(describe(shift)) },
    echo => sub { shift },
    none => sub { 'nothing' },
    fault => sub { die RPC::XML::fault->new(42, 'no such luck: <&>') },
    add => sub { $_[0] + $_[1] },
);
# The type of a result is that of the signature that the arguments fit.
my @types = qw(int i8 double boolean string dateTime.iso8601 base64 array struct nil);
my %signatures = (
    describe => [map { "string $_" } @types],
    echo => [map { "$_ $_" } @types],
    none => ['string'],
    fault => ['string int'],
    add => ['int int int'],
);
for my $name (keys %methods) {
    $server->add_procedure({name => $name, signature => $signatures{$name}, code => $methods{$name}});
}
$server->add_default_methods;
local $| = 1;
print $server->url, "RPC2\n";
$server->server_loop;
