# RPC::XML's values as words, for the client and the server.
package RpcXmlWords;

use strict;
use warnings;
use RPC::XML;
use Words;

my %kinds = (
    'RPC::XML::int' => 'int', 'RPC::XML::i4' => 'int', 'RPC::XML::i8' => 'i8',
    'RPC::XML::double' => 'double', 'RPC::XML::boolean' => 'boolean',
);

# make: the object for a value as Words has it.
sub make {
    my ($kind, @rest) = @{+shift};
    return RPC::XML::int->new(@rest) if $kind eq 'int';
    return RPC::XML::i8->new(@rest) if $kind eq 'i8';
    return RPC::XML::double->new(@rest) if $kind eq 'double';
    return RPC::XML::boolean->new(@rest) if $kind eq 'boolean';
    return RPC::XML::string->new(@rest) if $kind eq 'string';
    return RPC::XML::datetime_iso8601->new(@rest) if $kind eq 'date';
    return RPC::XML::base64->new(@rest) if $kind eq 'base64';
    return RPC::XML::array->new(map { make($_) } @rest) if $kind eq 'array';
    return RPC::XML::nil->new if $kind eq 'nil';
    my %members;
    while (my ($name, $value) = splice @rest, 0, 2) {
        $members{$name} = make($value);
    }
    return RPC::XML::struct->new(\%members);
}

# write: the words for an object, or for a response that holds one.
sub write {
    my $object = shift;
    $object = $object->{value} if $object->isa('RPC::XML::response');
    return 'nil' if $object->isa('RPC::XML::nil');
    return Words::array(map { RpcXmlWords::write($_) } @$object) if $object->isa('RPC::XML::array');
    return Words::struct(map { ($_, RpcXmlWords::write($object->{$_})) } keys %$object) if $object->isa('RPC::XML::struct');
    my $value = $object->value;
    return Words::error('no value in ' . ref $object) unless defined $value;
    return 'base64 ' . Words::hex_word($value) if $object->isa('RPC::XML::base64');
    return 'date ' . $value if $object->isa('RPC::XML::datetime_iso8601');
    return 'string ' . Words::text($value) if $object->isa('RPC::XML::string');
    return ($kinds{ref $object} || die 'what is ' . ref $object) . " $value";
}

1;
