# Values of XML-RPC as words, as value_test.go describes them. A value is a list
# here: its kind and its text, or [kind, values...] for an array, or
# [kind, name, value, ...] for a struct.
package Words;

use strict;
use warnings;
use Encode qw(decode encode);
use JSON::PP ();

# take: takes one value from the front of the list of words.
sub take {
    my $words = shift;
    my $kind = shift @$words;
    return [$kind] if $kind eq 'nil';
    return [$kind, decode('UTF-8', bytes(shift @$words))] if $kind eq 'string';
    return [$kind, bytes(shift @$words)] if $kind eq 'base64';
    return [$kind, map { take($words) } 1 .. shift @$words] if $kind eq 'array';
    return [$kind, map { (decode('UTF-8', bytes(shift @$words)), take($words)) } 1 .. shift @$words] if $kind eq 'struct';
    return [$kind, shift @$words];
}

sub bytes { return pack 'H*', substr shift, 1 }

sub hex_word { return 'x' . unpack 'H*', shift }

# text: the word for text, which may be bytes that the library did not decode.
sub text {
    my $text = shift;
    return hex_word(utf8::is_utf8($text) ? encode('UTF-8', $text) : $text);
}

sub error {
    my $message = shift;
    $message =~ s/\s+\z//;
    return 'error ' . text($message);
}

sub fault { my ($code, $string) = @_; return "fault $code " . text($string) }

sub array { return join ' ', 'array', scalar @_, @_ }

# struct: is given names and words by turns.
sub struct {
    my @pairs = @_;
    my @words = ('struct', @pairs / 2);
    while (my ($name, $value) = splice @pairs, 0, 2) {
        push @words, text($name), $value;
    }
    return join ' ', @words;
}

# each_case: calls the function for each line of the standard input, with a URL,
# a method and perhaps a value, and prints what it returns or dies of.
sub each_case {
    my $call = shift;
    local $| = 1;
    while (my $line = <STDIN>) {
        my ($case, $url, $method, @words) = split ' ', $line;
        my $got = eval { $call->($url, $method, @words ? take(\@words) : ()) };
        $got = error($@ || 'nothing came back') unless defined $got;
        print JSON::PP->new->encode({case => $case, got => $got}), "\n";
    }
    return;
}

1;
