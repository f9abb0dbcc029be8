# Two objects that point at each other for each unit, which perl never frees; and a string of 1,000 bytes.
# Its own /proc/self/smaps_rollup grows from 142,904 kB at 100,000 units to 570,256 kB at 400,000: 1,458.7 bytes
# for each.
use strict;
my $n = shift;
for my $i (1 .. $n) {
    my ($a, $b) = ({}, {text => 'x' x 1000});
    $a->{other} = $b;
    $b->{other} = $a;
}
