# Calls the cases on its standard input with Perl's XMLRPC::Lite.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use XMLRPC::Lite;
use Words;

my %types = (date => 'dateTime');

sub make {
    my ($kind, @rest) = @{+shift};
    return [map { make($_) } @rest] if $kind eq 'array';
    if ($kind eq 'struct') {
        my %members;
        while (my ($name, $value) = splice @rest, 0, 2) {
            $members{$name} = make($value);
        }
        return \%members;
    }
    return XMLRPC::Data->type($types{$kind} || $kind, $rest[0]);
}

sub words {
    my $value = shift;
    my $type = ref $value;
    return Words::array(map { words($_) } @$value) if $type eq 'ARRAY';
    return Words::struct(map { ($_, words($value->{$_})) } keys %$value) if $type eq 'HASH';
    die "what is $type" if $type;
    return defined $value ? 'scalar ' . Words::text($value) : 'nil';
}

Words::each_case(sub {
    my ($url, $method, $value) = @_;
    return 'lacks' if $value && $value->[0] =~ /^(?:nil|i8)$/;
    my @args = defined $value ? make($value) : ();
    # The library has no more of it than the method itself.
    @args = [{methodName => 'add', params => [3, 4]}, {methodName => 'probe.fault', params => [1]}]
        if $method eq 'system.multicall';
    my $answer = XMLRPC::Lite->proxy($url)->call($method, @args);
    return Words::fault($answer->faultcode, $answer->faultstring) if $answer->fault;
    return words($answer->result) if $method ne 'system.multicall';
    return Words::array(map {
        ref $_ eq 'HASH' ? Words::fault($_->{faultCode}, $_->{faultString}) : words($_->[0])
    } @{$answer->result});
});
