# Counts words, of which there are only so many.
use strict;
my $n = shift;
my %count;
for my $i (1 .. $n) {
    $count{$_}++ for split / /, "a b c " . ($i % 500);
}
