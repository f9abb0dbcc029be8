# Makes up a text for each line that it reads, and counts its words: all is garbage once a text is done.
my @letters = 'a'..'z';
my $most = 0;
while $*IN.get -> $line {
    my @words = (^300).map: { @letters.pick(3).join };
    my %count;
    %count{$_}++ for @words;
    $most max= %count.values.max;
}
