# Two objects that point at each other for each unit, which perl never frees; and a string of 1,000 bytes.
use strict;
my $n = shift;
for my $i (1 .. $n) {
    my ($a, $b) = ({}, {text => 'x' x 1000});
    $a->{other} = $b;
    $b->{other} = $a;
}
