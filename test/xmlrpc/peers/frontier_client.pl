# Calls the cases on its standard input with Perl's Frontier::Client.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Encode qw(encode);
use Frontier::Client;
use MIME::Base64 ();
use Words;

sub make {
    my ($kind, @rest) = @{+shift};
    return Frontier::RPC2::Integer->new(@rest) if $kind eq 'int';
    return Frontier::RPC2::Double->new(@rest) if $kind eq 'double';
    return Frontier::RPC2::Boolean->new(@rest) if $kind eq 'boolean';
    # It takes bytes, for a document without a charset is in UTF-8.
    return Frontier::RPC2::String->new(encode('UTF-8', $rest[0])) if $kind eq 'string';
    return Frontier::RPC2::DateTime::ISO8601->new(@rest) if $kind eq 'date';
    # It takes text that is in base64 already.
    return Frontier::RPC2::Base64->new(MIME::Base64::encode_base64($rest[0])) if $kind eq 'base64';
    return [map { make($_) } @rest] if $kind eq 'array';
    my %members;
    while (my ($name, $value) = splice @rest, 0, 2) {
        $members{encode('UTF-8', $name)} = make($value);
    }
    return \%members;
}

sub words {
    my $value = shift;
    my $type = ref $value;
    return Words::array(map { words($_) } @$value) if $type eq 'ARRAY';
    return Words::struct(map { ($_, words($value->{$_})) } keys %$value) if $type eq 'HASH';
    return 'boolean ' . $value->value if $type eq 'Frontier::RPC2::Boolean';
    return 'date ' . $value->value if $type eq 'Frontier::RPC2::DateTime::ISO8601';
    return 'base64 ' . Words::hex_word(MIME::Base64::decode_base64($value->value)) if $type eq 'Frontier::RPC2::Base64';
    die "what is $type" if $type;
    return 'scalar ' . Words::text($value);
}

Words::each_case(sub {
    my ($url, $method, $value) = @_;
    return 'lacks' if $value && $value->[0] =~ /^(?:nil|i8)$/;
    my $client = Frontier::Client->new(url => $url);
    my @args = defined $value ? make($value) : ();
    # The library has no more of it than the method itself.
    @args = [{methodName => 'add', params => [3, 4]}, {methodName => 'probe.fault', params => [1]}]
        if $method eq 'system.multicall';
    my $result = eval { $client->call($method, @args) };
    if ($@ && $@ =~ /fault code (?<code>-?\d+): (?<string>.*)\n/s) {
        return Words::fault($+{code}, $+{string});
    }
    die $@ if $@;
    return words($result) if $method ne 'system.multicall';
    return Words::array(map {
        ref $_ eq 'HASH' ? Words::fault($_->{faultCode}, $_->{faultString}) : words($_->[0])
    } @$result);
});
