# Serves made-up requests: each builds a tree whose children know their parents. Where the link to the
# parent is not weak, parent and child keep each other alive for ever.
#   requests.pl EVERY [QUIET]: one in EVERY trees has strong links (0: none), after QUIET seconds.
use strict; use warnings;
use Scalar::Util qw(weaken);
use Time::HiRes qw(sleep time);
my ($every, $quiet) = (@ARGV, 0);
my $began = time;
my $n = 0;
sub tree {
    my ($weak) = @_;
    my $root = { name => "request $n", children => [] };
    for my $i (1 .. 5 + int rand 20) {
        my $child = { parent => $root, data => "x" x (20 + int rand 200) };
        weaken($child->{parent}) if $weak;
        push @{ $root->{children} }, $child;
    }
    return $root;
}
while (1) {
    for (1 .. 5) {
        $n++;
        my $leaks = $every && $n % $every == 0 && time - $began >= $quiet;
        my $tree = tree(!$leaks);
        # What a request needs for a while: a page of text, split and joined.
        my $page = join ",", map { $_ * 17 % 1009 } 1 .. 200 + int rand 2000;
        my %seen; $seen{$_}++ for split /,/, $page;
        # Now and then a large one.
        if (rand() < 0.02) { my $large = "y" x int(rand 4_000_000); $large =~ tr/y/z/; }
    }
    sleep 0.1;
}
